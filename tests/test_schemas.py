"""Schemas of the files that onehit writes: sound, and every key is described. The outputs themselves are held to them
where they are made: in the tests of the commands."""

import pytest
from jsonschema import Draft202012Validator, ValidationError
from schemas import SCHEMAS, check, row


def keys(schema, path=""):
    """Every key that a schema names, and what it says of it."""
    for name, found in schema.get("properties", {}).items():
        yield f"{path}.{name}", found
        yield from keys(found, f"{path}.{name}")
    for inner in ("additionalProperties", "items"):
        if isinstance(schema.get(inner), dict):
            yield from keys(schema[inner], path)
    for name, found in schema.get("$defs", {}).items():
        yield from keys(found, f"{path}#{name}")


def described(schema, name):
    """Whether a schema says what something is, or what it refers to does."""
    if "description" in schema or "$ref" not in schema:
        return "description" in schema
    file, _, pointer = schema["$ref"].partition("#")
    found = SCHEMAS[file or name]
    for part in pointer.strip("/").split("/"):
        found = found[part]
    return described(found, file or name)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_sound_and_describe_every_key(name):
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    found = dict(keys(schema))
    assert len(found) > 20 and [key for key in found if not described(found[key], name)] == []


def test_a_wrong_value_and_a_key_that_nobody_described_are_found():
    rates = {f"{name}_interval": None for name in ("false_positive_rate", "false_negative_rate_at_zero_fp", "auc")}
    rates |= {"false_negative_rate": 0.5, "false_negative_rate_interval": [0.1, 0.9], "auc": None}
    rates |= {"false_positive_rate": None, "false_negative_rate_at_zero_fp": None, "photons_auc": None}
    numbers = {"n_good": 2, "n_bad": 0, "n_invalid": 0, "false_negatives": 1, "false_positives": 0}
    summary = {**rates, **numbers, "calibration_error": 0.1}
    check("metrics", {"cube": summary}, "/properties/robustness")
    for wrong in ({"auc": 1.2}, {"n_good": 0.5}, {"auc_interval": [0.1]}, {"more": 1}, {"n_bad": None}):
        with pytest.raises(ValidationError):
            check("metrics", {"cube": summary | wrong}, "/properties/robustness")


def test_rows_of_a_table_are_numbers_text_and_nothing():
    assert row({"seed": "0", "auc": "0.5", "file": "", "photons": "1e4 1e5"}) == {
        "seed": 0, "auc": 0.5, "file": None, "photons": "1e4 1e5"
    }  # fmt: skip
