from ppi_ml.config import DataSettings
from ppi_ml.events import load_tables
from ppi_ml.sources.files import SOURCE

ORDERS = """Order,Line,Client,Created,Article,Qty,Price
0001,1,007,2011-07-01T10:00:00,a,2,1.50
0001,2,007,2011-07-01T10:00:00,b,1,3.00
0002,1,008,2011-07-03T09:00:00,a,1,1.50
"""
RETURNS = "id,customer_id,requested\nr1,007,2011-07-02\n"


def test_tables_of_any_shop_load_by_their_mapping(tmp_path):
    (tmp_path / "orders-1.csv").write_text(ORDERS)
    (tmp_path / "returns.csv").write_text(RETURNS)
    settings = DataSettings(
        source="files",
        timezone="Europe/Berlin",
        tables={
            "order_lines": {
                "path": str(tmp_path / "orders-*.csv"),
                "columns": {
                    "order_id": "Order",
                    "line_id": "Line",
                    "customer_id": "Client",
                    "occurred_at": "Created",
                    "sku": "Article",
                    "quantity": "Qty",
                    "unit_price": "Price",
                },
                "constants": {"currency": "EUR"},
            },
            "returns": {
                "path": str(tmp_path / "returns.csv"),
                "columns": {"return_id": "id", "occurred_at": "requested"},
                "granularity": "day",
            },
        },
    )
    raw = SOURCE.read(settings)
    assert raw["returns"].granularity == "day"
    log = load_tables(raw, timezone=settings.timezone, currency=settings.currency)
    assert log.customer_ids.to_list() == ["007", "008"]
    assert log.currency == "EUR"
    assert log.tables["order_lines"].frame["value_e4"].to_list() == [30000, 30000, 15000]
    assert log.report.tables["order_lines"].kept == 3
    assert log.tables["returns"].granularity == "day"
