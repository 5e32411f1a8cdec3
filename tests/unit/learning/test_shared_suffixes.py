"""Suffixes under which anybody may have names: those that are listed, and those that look like one."""

import pandas as pd
import pytest

from models.learning.hosting import SUPPLEMENT
from models.learning.names import NamePatterns
from models.learning.suffixes import is_shared, registrable


@pytest.mark.parametrize(
    "parent",
    [
        "azurefd.net", "z01.azurefd.net", "scm.azurewebsites.net", "scm.westeurope-01.azurewebsites.net",
        "westeurope.logic.azure.com", "eastus.azurecontainer.io", "azurecr.io", "servicebus.windows.net",
        "vault.azure.net", "database.windows.net", "documents.azure.com", "openai.azure.com",
        "cognitiveservices.azure.com", "azure-api.net", "azurestaticapps.net", "azureedge.net",
        "trafficmanager.net", "westeurope.cloudapp.azure.com", "blob.core.chinacloudapi.cn",
        "vault.usgovcloudapi.net", "euw.devtunnels.ms", "app.github.dev",
        "dkr.ecr.eu-west-1.amazonaws.com", "execute-api.eu-west-1.amazonaws.com",
        "eu-west-1.elb.amazonaws.com", "elb.eu-west-1.amazonaws.com", "lambda-url.eu-west-1.on.aws",
        "s3.dualstack.eu-west-1.amazonaws.com", "cloudfront.net",
        "s3.eu-central-1.wasabisys.com", "s3.us-west-002.backblazeb2.com", "oss-cn-hangzhou.aliyuncs.com",
        "cos.ap-shanghai.myqcloud.com", "obs.eu-west-101.myhuaweicloud.com",
        "compat.objectstorage.us-ashburn-1.oraclecloud.com",
        "s3.eu-de.cloud-object-storage.appdomain.cloud", "s3.gra.io.cloud.ovh.net",
        "ams3.digitaloceanspaces.com", "eu-central-1.linodeobjects.com", "ewr1.vultrobjects.com",
        "r2.cloudflarestorage.com", "eu.r2.cloudflarestorage.com", "fsn1.your-objectstorage.com",
        "workers.dev", "pages.dev", "trycloudflare.com", "fly.dev", "onrender.com", "up.railway.app",
        "vercel.app", "netlify.app", "herokuapp.com", "deno.dev", "supabase.co", "firebaseio.com", "web.app",
        "appspot.com", "a.run.app", "cloudfunctions.net", "ngrok.io", "eu.ngrok.io", "ngrok.app",
        "ngrok-free.app", "loca.lt", "zrok.io", "serveo.net", "sslip.io", "nip.io", "1.2.3.4.nip.io",
        "m.pipedream.net", "webhook.site", "oast.fun", "interact.sh", "burpcollaborator.net",
        "c1.eu-west-1-1.ec2.cloud.redislabs.com",
    ],
)  # fmt: skip
def test_trap_G14_a_wildcard_over_strangers_names_is_never_proposed(parent: str) -> None:
    """Not even with a literal beginning, for strangers choose theirs: it is a question, and names stay exact."""
    assert is_shared(parent)
    rows = [("w", f"team{number:03d}x.{parent}", 1) for number in range(60)]
    fitted = NamePatterns().fit(pd.DataFrame(rows, columns=["subject", "name", "days_seen"]), 14)
    assert not len(fitted.patterns_)
    assert fitted.requests_["pattern"].tolist() == [f"team*.{parent}"]


@pytest.mark.parametrize(
    "parent",
    ["s3.eu-1.newcloud.com", "s3-eu-west-1.newcloud.io", "oss-cn-north.newcloud.cn", "cos.eu-west-1.newcloud.com",
     "eu-west-1.obs.newcloud.com", "objectstorage.newcloud.com", "eu.cloud-object-storage.newcloud.com",
     "blob.newcloud.com", "w07.azurefd.net", "q9.github.io", "eu-west-1.wasabisys.com"],
)  # fmt: skip
def test_what_looks_like_a_zone_or_a_store_of_objects_is_taken_for_one(parent: str) -> None:
    """No list has them all, and a question costs less than a stranger."""
    assert is_shared(parent)


@pytest.mark.parametrize(
    "parent",
    ["example.com", "ibm.com", "bbc.co.uk", "cdn.example.com", "eu1.example.com", "eu-west-1.example.com",
     "z01.example.com", "obs.example.com", "cos.example.com", "s3files.example.com",
     "acme.blob.core.windows.net", "acme.s3.eu-west-1.amazonaws.com", "acme.github.io",
     "acme.r2.cloudflarestorage.com", "abc12.mongodb.net", "acme.eu.auth0.com", "media.acme.web.app"],
)  # fmt: skip
def test_what_one_party_holds_may_have_a_pattern(parent: str) -> None:
    """A region, a zone or a command of one's own domain, and all below a tenant's name."""
    assert not is_shared(parent)


def test_a_region_within_a_suffix_stands_for_any() -> None:
    """Whose bucket it is begins before the service, whatever the region."""
    assert registrable("www.acme.s3.us-west-002.backblazeb2.com") == "acme.s3.us-west-002.backblazeb2.com"
    assert registrable("acme-a1b2.z01.azurefd.net") == "acme-a1b2.z01.azurefd.net"
    assert registrable("cos.ap-shanghai.myqcloud.com") == ""


def test_suffixes_are_written_as_names_are() -> None:
    """Lower case, no empty label, a star for a whole label only, and a domain at the end."""
    for text in SUPPLEMENT:
        labels = text.split(".")
        assert text == text.lower()
        assert all(label == "*" or ("*" not in label and label) for label in labels), text
        assert "*" not in labels[-2:], text
