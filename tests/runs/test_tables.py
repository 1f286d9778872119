"""Tables as people have them, by the commands: refusals, sheets, and dates up to new rows."""

import json

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner

from experiments import fit, predict
from tests.conftest import ROOT, artifact, only_run
from tests.support.sheets import write_xlsx

TABLES = ROOT / "tests" / "data" / "tables"


def ran(command, **options: str):
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return CliRunner().invoke(command.main, arguments)


@pytest.mark.parametrize(
    "name, words",
    [
        ("bad_cell.csv", "row 3 of bad_cell.csv (column a), which holds '-'; use --missing drop"),
        ("percent.csv", "row 1 of percent.csv holds '50%'; write the number alone and its unit"),
    ],
)
def test_a_cell_that_is_no_number_ends_in_one_line_and_no_run(store, name, words):
    done = ran(fit, data=TABLES / name, target="y")
    [line] = done.output.splitlines()
    assert done.exit_code == 2 and words in line
    assert not mlflow.search_runs(search_all_experiments=True, output_format="list")


@pytest.mark.parametrize(
    "name, target, variable, units, new",
    [
        ("dates.csv", "y", "when", "days since 2024-03-01", "2024-03-31"),
        ("german_dates.csv", "Wert", "Datum", "days since 2024-03-01 06:00:00", "31.03.2024 06:00"),
    ],
)
def test_dates_are_days_since_the_first_from_the_fit_to_new_rows(
    store, name, target, variable, units, new
):
    done = ran(fit, data=TABLES / name, target=target, degree=1)
    assert done.exit_code == 0, done.output
    assert f"{target} = 1.0 + 2.0*{variable}, {variable} in {units}" in done.output
    run = only_run()
    kept = json.loads(artifact(run, "coefficients.json").read_text())
    assert kept["units"] == {variable: units}
    assert [term["estimate"] for term in kept["terms"]] == [1, 2]
    address = f"runs:/{run.info.run_id}/model"
    (store / "new.csv").write_text(f"{variable};note\n{new};a\n")
    done = ran(predict, model=address, data="new.csv", out="out.csv")
    assert done.exit_code == 0, done.output
    [row] = pd.read_csv("out.csv").to_dict("records")
    assert row[variable] == new and row["prediction"] == 61 and row["extrapolated"]
    model = mlflow.pyfunc.load_model(address)
    moment = f"2024-03-31 {units.partition(':')[0][-2:]}:00" if ":" in units else "2024-03-31"
    for when in (moment, pd.Timestamp(moment)):
        assert model.predict(pd.DataFrame({variable: [when]})).prediction.tolist() == [61]


def test_the_sheet_is_chosen_by_an_option_and_said(store):
    cells = [["x", "y"], [0, 1], [1, 3], [2, 5], [3, 7]]
    write_xlsx(store / "book.xlsx", {"notes": [["nothing"]], "lab": cells})
    done = ran(fit, data="book.xlsx", target="y", degree=1, sheet="lab")
    assert done.exit_code == 0, done.output
    assert "book.xlsx: sheet 'lab', not 'notes', 4 rows" in done.output
    assert "y = 1.0 + 2.0*x" in done.output
    done = ran(fit, data="book.xlsx", target="y", degree=1)
    told = "no column 'y' in book.xlsx, sheet 'notes' (--sheet takes 'lab', too): it has 'nothing'"
    assert done.exit_code == 2 and done.output == f"Error: {told}\n"
