"""What is told of a fit before it is made."""

from polyreg.reports.plans.plan import about, features, plan

__all__ = ["about", "features", "plan"]
