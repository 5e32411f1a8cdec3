"""Who talks to whom in the applications: shop, payments, batch and legacy."""

from typing import Any

from sample_data.world.aks_shop import moment
from sample_data.world.nouns import Dependency, External
from sample_data.world.rhythms import At, Every, Office, PerRun, Rhythm, Shopping, Sporadic, Steady

PSP = External(
    "psp",
    "api.psp.example",
    ("52.236.18.21", "52.236.18.22", "52.236.18.23"),
    3,
    cnames=("psp.edge-lb.example",),
)
PSP_FILES = External("psp-files", "sftp.psp.example", ("52.236.18.60",), ttl=300)
FRAUD = External("fraud", "score.fraudshield.example", ("13.95.140.8", "13.95.140.9"), 2)
RATES = External("rates", "rates.exchange.example", ("18.196.70.14",), ttl=300)
MAIL = External("mail", "smtp.mailrelay.example", ("40.92.17.5", "40.92.17.6"), 2, ttl=120)
SUPPLIER = External("supplier", "feed.supplier.example", ("83.161.44.12",), ttl=600)
MEDIA = External(
    "media",
    "aksshopmedia.blob.core.windows.net",
    tuple(f"20.60.27.{4 + 8 * i}" for i in range(12)),
    1,
    rotate_hours=24,
    cnames=("blob.ams07prdstr12a.store.core.windows.net",),
    ttl=60,
)
REPORTS = External(
    "reports",
    "aksshopreports.blob.core.windows.net",
    tuple(f"20.60.88.{2 + 7 * i}" for i in range(14)),
    1,
    rotate_hours=24,
    cnames=("blob.ams09prdstr04a.store.core.windows.net",),
    ttl=60,
)
_CDN = ("104.18.20.30", "104.18.21.30")  # one edge network answers for both names
REVIEWS = External(
    "reviews", "reviews.widgets.example", _CDN, 2, cnames=("widgets.cdn-edge.example",), ttl=1800
)
FONTS = External(
    "fonts", "fonts.lettering.example", _CDN, 2, cnames=("lettering.cdn-edge.example",), ttl=1800
)
PARTNER = External("partner", pool=("20.123.44.10",), shown=1)
METADATA = External("imds", pool=("169.254.169.254",), shown=1)

CHANGE = moment("09 10:30")  # release 2.8.0: orders leaves redis for nats


def _d(
    client: str, server: str | External, port: int, rhythm: Rhythm, kind: str, why: str, **more: Any
) -> Dependency:
    return Dependency(client, server, port, rhythm, kind, why, **more)


SHOP = (
    _d("shop/web", "shop/api", 8080, Shopping(9), "workday", "pages are made from the API"),
    _d("shop/web", REVIEWS, 443, Shopping(4), "workday", "review widget rendered on the server"),
    _d(
        "shop/web",
        FONTS,
        443,
        Shopping(4),
        "workday",
        "fonts proxied for privacy, same CDN address as the reviews",
    ),
    _d("shop/api", "shop/cart", 7070, Shopping(6), "workday", "shopping carts"),
    _d("shop/api", "shop/catalog", 8080, Shopping(7), "workday", "products"),
    _d("shop/api", "shop/orders", 8080, Shopping(4), "workday", "order placement and status"),
    _d("shop/api", "payments/checkout", 8080, Shopping(3), "workday", "payment at the end of an order"),
    _d("shop/cart", "shop/redis", 6379, Steady(2), "continuous", "cart contents", lasting=1),
    _d(
        "shop/orders",
        "shop/redis",
        6379,
        Shopping(3),
        "dependency-ended",
        "order queue before release 2.8.0",
        end=CHANGE,
    ),
    _d(
        "shop/orders",
        "shop/nats",
        4222,
        Shopping(3),
        "dependency-began",
        "order queue since release 2.8.0",
        start=CHANGE,
        lasting=1,
    ),
    _d(
        "shop/catalog",
        "shop/postgres",
        5432,
        Steady(2),
        "continuous",
        "product data",
        server_label="k8s:role=master",
    ),
    _d(
        "shop/orders",
        "shop/postgres",
        5432,
        Steady(2),
        "continuous",
        "orders",
        server_label="k8s:role=master",
        lasting=1,
    ),
    _d(
        "shop/api",
        "shop/postgres",
        5432,
        Steady(1),
        "continuous",
        "reads from followers",
        server_label="k8s:role=replica",
    ),
    _d(
        "shop/postgres",
        "shop/postgres",
        5432,
        Steady(1.5),
        "continuous",
        "streaming replication",
        server_label="k8s:role=master",
        lasting=1,
    ),
    _d(
        "shop/postgres",
        "shop/postgres",
        8008,
        Steady(1),
        "continuous",
        "leader election between the replicas",
    ),
    _d("shop/catalog", MEDIA, 443, Shopping(3, weekend=0.8), "workday", "product pictures in blob storage"),
    _d("shop/catalog", SUPPLIER, 443, Sporadic(0.4), "sporadic", "supplier feed when a buyer asks for it"),
    _d("shop/orders", MAIL, 587, Shopping(2), "workday", "order confirmations"),
    _d(
        "shop/orders",
        "legacy/mainframe-bridge",
        5001,
        Shopping(1.5),
        "workday",
        "stock reservation on the mainframe",
    ),
    _d(
        "shop/api",
        "monitoring/statsd-exporter",
        9125,
        Steady(2),
        "continuous",
        "metrics, never answered",
        protocol="UDP",
        outcome="oneway",
    ),
    _d(
        "shop/orders",
        "monitoring/statsd-exporter",
        9125,
        Steady(1),
        "continuous",
        "metrics, never answered",
        protocol="UDP",
        outcome="oneway",
    ),
    _d(
        "shop/api",
        "kube-system/coredns",
        53,
        Sporadic(0.7),
        "dns",
        "truncated answers are asked again over TCP",
        protocol="TCP",
    ),
)

PAYMENTS = (
    _d("payments/checkout", PSP, 443, Shopping(4), "workday", "card payments at the provider"),
    _d("payments/checkout", FRAUD, 443, Shopping(2), "workday", "fraud score of each payment"),
    _d("payments/checkout", RATES, 443, At(16, 5, count=2, spread=30), "nightly", "daily exchange rates"),
    _d("payments/checkout", "payments/ledger-db", 5432, Shopping(3), "workday", "ledger entries"),
    _d("payments/settlement", PSP_FILES, 22, PerRun(2), "weekly", "settlement file every Friday"),
    _d("payments/settlement", "payments/ledger-db", 5432, PerRun(3), "weekly", "weekly settlement"),
)

BATCH = (
    _d(
        "batch/report",
        "shop/postgres",
        5432,
        PerRun(6),
        "nightly",
        "sales report",
        server_label="k8s:role=replica",
    ),
    _d(
        "batch/report",
        REPORTS,
        443,
        PerRun(4, after=200, within=200),
        "nightly",
        "report upload; no policy shows the name, and the address changes daily",
    ),
    _d(
        "batch/report",
        METADATA,
        80,
        PerRun(2, after=3, within=20),
        "nightly",
        "token of the managed identity from the instance metadata service",
        review=True,
    ),
    _d("batch/reindex", "shop/catalog", 8080, PerRun(5), "weekly", "search index every Sunday"),
    _d(
        "batch/reindex",
        "shop/postgres",
        5432,
        PerRun(4),
        "weekly",
        "search index every Sunday",
        server_label="k8s:role=replica",
    ),
)

LEGACY = (
    _d("legacy/importer", "legacy/mainframe-bridge", 5001, Steady(1.5), "continuous", "stock levels"),
    _d("legacy/importer", "shop/orders", 8080, Office(2), "workday", "orders typed in by the call centre"),
    _d(
        "legacy/exporter",
        PARTNER,
        8443,
        At(22, 15, count=4, spread=900),
        "nightly",
        "partner's host, by address",
    ),
    _d("legacy/exporter", "shop/catalog", 8080, At(21, 50, count=3, spread=300), "nightly", "price list"),
    _d(
        "legacy/mainframe-bridge",
        External("mainframe", pool=("10.1.7.12",)),
        1414,
        Every(1800, 60),
        "continuous",
        "message queue of the mainframe in the peered network",
    ),
)

APPLICATIONS = SHOP + PAYMENTS + BATCH + LEGACY
