"""What a training on a large shop costs: one small one, and the page."""

import json

import large_shop

FOUND = {
    "most": 50_000, "rows": 450_000, "lines": 2_000_000, "status": "worse", "text": "worse: ...",
    "ours": 0.49, "rival": 0.48, "trained": 700_000, "tested": 90_000, "seconds": 300.4,
    "cpu": 500.0, "memory": 3_500.0,
}  # fmt: skip


def test_a_training_says_what_it_cost_and_what_came_of_it(quick, capsys):
    assert large_shop.main(["--one", "500", "200", "20000", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == FOUND.keys()
    assert found["status"] in ("better", "level", "worse")
    assert 0 < found["ours"] < 1 and found["rival"] is None  # `quick` has no such baseline
    assert 0 < found["trained"] < found["lines"]
    assert found["memory"] > 100


def test_the_page_tells_memory_beside_its_bound():
    page = large_shop.part([FOUND, FOUND | {"memory": 9_000.0}], 200_000, 5)
    (check,) = page.checks
    assert check.passed and check.found == "3,500"
    assert not large_shop.part([FOUND | {"memory": 4_001.0}], 200_000, 5).checks[0].passed
    assert "| 50,000 | 450,000 | 700,000 | worse | 0.4900 | 0.4800 |" in page.to_markdown()
