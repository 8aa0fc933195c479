"""The rules that NexusCore comes with."""

from __future__ import annotations

from Services.Intake.rules.rule import Conflict, FilingRule, Ready

OVERWATCH = FilingRule(
    name="overwatch",
    names="*.root",
    parse=r"(?P<system>[A-Z][A-Z0-9]*?)hist[a-z]*_(?P<run>[A-Za-z0-9.-]+)_(?P<mode>[A-Za-z0-9]+)_(?P<time>.+)\.root",
    path="Run{run}/{system}/{system}hists.{time}.root",
    divert="mode=E: ReplayData; mode=e: ReplayData",
    note_path="Run{run}/runInfo.yaml",
    note="{{hltMode: '{mode:upper}'}}\n",
    conflict=Conflict.REFUSE,
    ready=Ready.QUIET,
)
"""Histograms of a detector's receiver, ``EMChistos_300005_B_2015_11_24_18_05_10.root``: for the monitoring of runs."""

MICROSCOPE = FilingRule(
    name="microscope",
    names="*",
    target=".",
    path="{instrument}/{user}/{date}/{folder}/{name}",
    conflict=Conflict.KEEP_BOTH,
    ready=Ready.QUIET,
)
"""Data of a microscope, by instrument, user and day."""

SHIPPED = (OVERWATCH, MICROSCOPE)
