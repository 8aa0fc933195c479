"""Finds the corrections for an instrument's files: in its configuration, or in a folder of the facility's own."""

from __future__ import annotations

from pathlib import Path

from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import NexusError
from NexusCore.facility import Instrument
from Services.Builder.extraction.extractors.profile import Profile, ProfileNotUnderstood, profile, profile_file
from Services.Builder.settings import BuilderSettings


class ProfileUnusable(NexusError):
    """The profile of the instrument {pid} cannot be used: {reason} It is in {where}."""


def profile_of(config: ReadOnlyConfiguration, instrument: Instrument, settings: BuilderSettings) -> Profile:
    """Return the corrections that apply to an instrument's files.

    The folder `Instruments.<pid>.profile` of the configuration holds them; where it is empty, the file `<pid>.toml` in
    the folder that `Services.Builder.profiles_path` names, if there is one.

    Parameters
    ----------
    config
        From its absolute root.
    instrument
        Its time zone is that of times without one.
    settings
        They hold the folder of profiles.

    Raises
    ------
    ProfileUnusable
        If an entry is wrong; the message names its place.
    """
    folder = f"Instruments.{instrument.pid}.profile"
    file = settings.profiles / f"{instrument.pid}.toml" if settings.profiles else None
    entries = {name: config[f"{folder}.{name}"] for name in config.keys(folder)}
    where: str | Path = folder
    try:
        if entries or file is None:
            return profile(entries, instrument.zone)
        where = file
        return profile_file(file, instrument.zone) if file.exists() else profile({}, instrument.zone)
    except ProfileNotUnderstood as error:
        raise ProfileUnusable(pid=instrument.pid, reason=error, where=where) from error
    except OSError as error:
        raise ProfileUnusable(pid=instrument.pid, reason=f"{error.strerror or error}.", where=where) from error
