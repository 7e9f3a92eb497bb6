"""The types of Dataflow's settings: what each value must look like, said in words."""

from __future__ import annotations

from typing import Annotated

from isopach.jobs.settings import like

BUCKET = r"gs://[a-z0-9][-_a-z0-9.]{1,61}[a-z0-9]"


Project = Annotated[
    str,
    like(
        r"(?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "a project's id, 6 to 30 of a-z, 0-9 and -, and not its number or title",
    ),
]
Region = Annotated[str, like(r"[a-z]+-[a-z]+[0-9]{1,2}", "a region, as in europe-west3")]
Zone = Annotated[str, like(r"[a-z]+-[a-z]+[0-9]{1,2}-[a-z]", "a zone, as in europe-west3-a")]
Folder = Annotated[
    str, like(BUCKET + r"/[^\s#?*\[\]]+", "a folder in a bucket, as in gs://bucket/temp")
]
Account = Annotated[
    str,
    like(
        r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com",
        "a service account's address, as in runner@PROJECT.iam.gserviceaccount.com",
    ),
]
Name = Annotated[
    str,
    like(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?", "at most 63 of a-z, 0-9 and -, a letter first"),
]
Subnetwork = Annotated[
    str,
    like(
        r"(?:https://www\.googleapis\.com/compute/v1/projects/[a-z0-9.:-]+/)?"
        r"regions/[a-z0-9-]+/subnetworks/[a-z0-9-]+",
        "regions/REGION/subnetworks/NAME, or its whole address where a host project shares it",
    ),
]
Key = Annotated[
    str,
    like(
        r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[\w-]+/cryptoKeys/[\w-]+",
        "projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY",
    ),
]
Machine = Annotated[str, like(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+", "a type, as in n2-standard-4")]
Experiment = Annotated[str, like(r"[a-z][\w-]*(?:=[^\s,]+)?", "a name, or name=value")]
Image = Annotated[
    str,
    like(
        r"[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+(?::[\w.-]+|@sha256:[0-9a-f]{64})",
        "an image with its tag or digest, as in REGISTRY/isopach:1",
    ),
]
Endpoint = Annotated[
    str,
    like(r"https://[\w.-]+(?::\d+)?|http://localhost:\d+", "https://HOST or http://localhost:PORT"),
]
LabelName = Annotated[
    str, like(r"[a-z][a-z0-9_-]{0,62}", "at most 63 of a-z, 0-9, _ and -, a letter first")
]
LabelValue = Annotated[str, like(r"[a-z0-9_-]{0,63}", "at most 63 of a-z, 0-9, _ and -")]
Package = Annotated[str, like(r".+\.(?:tar\.gz|whl)", "a package: NAME.tar.gz or NAME.whl")]
