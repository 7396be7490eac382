"""pytest moves itself into namespaces of its own, and a failed test shows what its cluster's daemons logged last; all its
files are copied to the directory CALIDRIS_KEEP, if that is set."""

import os
import shutil
from pathlib import Path

import pytest

import harness
import ns

CLUSTERS = pytest.StashKey()


def pytest_configure(config):
    try:
        ns.enter()
    except ns.Unavailable as error:
        raise pytest.UsageError(str(error)) from None


def cluster_maker(request):
    made = request.node.stash[CLUSTERS] = []

    def make(*arguments, kind=harness.Cluster, **options):
        made.append(kind(*arguments, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def new_cluster(request):
    """Makes clusters that end with the test: new_cluster(mesh=False, families=(4,)); kind is a class of one's own."""
    yield from cluster_maker(request)


@pytest.fixture(scope="module")
def new_shared_cluster(request):
    """As new_cluster, for the tests of a whole file; there is one cluster at a time."""
    yield from cluster_maker(request)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for cluster in (cluster for node in item.listchain() for cluster in node.stash.get(CLUSTERS, [])):
        if "CALIDRIS_KEEP" in os.environ:
            shutil.copytree(cluster.directory, os.environ["CALIDRIS_KEEP"], dirs_exist_ok=True,
                            ignore=lambda path, names: [name for name in names if (Path(path) / name).is_socket()])
        for host in cluster.hosts:
            for name, text in host.logs().items():
                report.sections.append((f"{host.name}: {name}", "\n".join(text.splitlines()[-40:])))
