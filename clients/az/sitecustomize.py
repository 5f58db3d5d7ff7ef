"""Lets Debian 12's az 2.45 run with Debian 12's azure-mgmt-network, which is newer than az expects.

Python loads this file at start when its directory is in PYTHONPATH. It installs an import hook and
changes three modules as they are imported, nothing on disk:

  azure.cli.core.profiles._shared          network commands that go through the SDK use the API
                                           version that the package has (2022-07-01)
  azure.mgmt.network.v2022_07_01.operations  is the common operations package under another name
  azure.mgmt.network._validation           its decorator keeps the signatures of what it wraps, from
                                           which az makes its arguments
  azure.mgmt.authorization.*.operations    have their configuration under the name that `az role`
                                           knows, too

It does nothing when the package has the version that az wants.
"""
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

WANTED = "v2022_01_01"
HAVE = "2022-07-01"
ALIAS = "azure.mgmt.network.v2022_07_01.operations"


def _package_is_newer():
    for place in sys.path:
        network = os.path.join(place, "azure", "mgmt", "network")
        if os.path.isdir(network):
            return not os.path.isdir(os.path.join(network, WANTED))
    return False


def _pin_version(module):
    if _package_is_newer():
        latest = module.AZURE_API_PROFILES["latest"]
        latest[module.ResourceType.MGMT_NETWORK] = HAVE


def _keep_signatures(module):
    decorate = module.api_version_validation.__call__

    def wrapped(self, func):
        return functools.wraps(func)(decorate(self, func))

    module.api_version_validation.__call__ = wrapped


def _show_configuration(module):
    for kind in vars(module).values():
        made = getattr(getattr(kind, "__init__", None), "__code__", None)
        if made and "_config" in made.co_names and not hasattr(kind, "config"):
            kind.config = property(lambda self: self._config)


CHANGES = {
    "azure.cli.core.profiles._shared": _pin_version,
    "azure.mgmt.network._validation": _keep_signatures,
}


class _Loader(importlib.abc.Loader):
    def __init__(self, inner, change):
        self.inner = inner
        self.change = change

    def create_module(self, spec):
        return self.inner.create_module(spec)

    def exec_module(self, module):
        self.inner.exec_module(module)
        self.change(module)


class _AliasLoader(importlib.abc.Loader):
    def create_module(self, spec):
        return importlib.import_module("azure.mgmt.network.operations")

    def exec_module(self, module):
        pass


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == ALIAS:
            return importlib.machinery.ModuleSpec(name, _AliasLoader())
        change = CHANGES.get(name)
        if name.startswith("azure.mgmt.authorization.") and name.endswith(".operations"):
            change = _show_configuration
        if change is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader, change)
        return spec


sys.meta_path.insert(0, _Finder())
