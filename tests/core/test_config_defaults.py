"""Parameters that programs declare: what they are for, whoever set them first."""

from __future__ import annotations

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration
from NexusCore.config.values import Value
from NexusCore.errors import ValueMissing, ValueRefused


class TestDefaults:
    """003-15: `set_default` creates what is missing, and changes no value that is there."""

    def test_set_default_leaves_what_is_there(self, cfg: NamedConfiguration, other: App) -> None:
        """003-15."""
        cfg.set_default("enabled", True, comment="Whether it runs.")
        cfg["enabled"] = False
        cfg.set_default("enabled", True)
        other.get_config().set_default("enabled", True)
        assert cfg["enabled"] is False
        assert cfg.get("enabled").comment == "Whether it runs."
        assert len(cfg.history("enabled")) == 2

    def test_set_default_tells_what_a_parameter_is_for(self, cfg: NamedConfiguration, database_url: str) -> None:
        """003-15: also one that somebody set before the program that needs it ran; what does not fit stays as it is."""
        cfg["interval"] = 5
        cfg.set("mode", "TEM", comment="as the operator says", create=True)
        cfg["threads"] = "many"
        for _ in range(2):
            cfg.set_default("interval", 10.0, comment="Seconds.", minimum=0.1)
            cfg.set_default("mode", "SEM", comment="What is used.", choices=("TEM", "SEM"))
            cfg.set_default("threads", 2, comment="How many.", minimum=1)
        interval = cfg.get("interval")
        assert (interval.value, interval.datatype, interval.comment) == (5.0, "double", "Seconds.")
        assert (cfg["mode"], cfg.get("mode").comment) == ("TEM", "as the operator says")
        assert (cfg["threads"], cfg.get("threads").datatype) == ("many", "string")
        for name, value in (("interval", "soon"), ("mode", "LM")):
            with pytest.raises(ValueRefused):
                cfg[name] = value
        assert [len(cfg.history(name)) for name in ("interval", "mode", "threads")] == [2, 2, 1]

    @pytest.mark.parametrize("value", ["many", True])
    def test_what_is_to_be_a_number(self, cfg: NamedConfiguration, value: Value) -> None:
        cfg["threads"] = 2
        assert cfg.number("threads") == 2
        cfg.set("threads", value, check=False)
        with pytest.raises(ValueRefused, match=r"'threads' is .*, but must be a number"):
            cfg.number("threads")

    def test_a_secret_that_is_to_be_a_number(self, cfg: NamedConfiguration) -> None:
        """The sentence gets into logs and onto terminals, the value does not."""
        cfg.set_default("threads", "hunter2Xq", secret=True)
        with pytest.raises(ValueRefused, match=r"'threads' is [*]+, but must be a number") as refused:
            cfg.number("threads")
        assert "hunter2Xq" not in repr(refused.value.facts)

    def test_a_number_without_a_value(self, cfg: NamedConfiguration) -> None:
        cfg["threads"] = 2
        cfg["threads"] = None
        for name in ("threads", "missing"):
            sentence = f"'{name}' has no value, but must be a number. Set it with: ConfigTool {name}=<value>"
            with pytest.raises(ValueMissing, match=sentence):
                cfg.number(name)

    def test_set_default_of_two_processes_at_once(self, cfg: NamedConfiguration, other: App) -> None:
        """003-15: the one that comes second finds it there, also if it didn't know of it yet."""
        late = other.get_config()
        other.live._stop.set()  # its watcher sees nothing any more
        cfg["first"] = "mine"
        late.set_default("first", "other")
        assert late["first"] == cfg["first"] == "mine"
