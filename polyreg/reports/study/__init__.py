"""Report of a study: degrees compared, and rows to doubt."""

from polyreg.reports.study.report import deviation, is_studied, record_study, study_lines

__all__ = ["deviation", "is_studied", "record_study", "study_lines"]
