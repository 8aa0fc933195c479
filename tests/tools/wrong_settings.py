"""Fifty mistakes that people make in the configuration, of different kinds: path, what they set, what is said of it."""

from __future__ import annotations

from NexusCore.config.values import Value

B, G, H, N, U = "Services.Builder", "Services.Gateway", "Services.Harvester", "Services.Intake", "Services.Uploader"
T = "Instruments.Titan"

WRONG_SETTINGS: tuple[tuple[str, Value, str], ...] = (
    # a text where a number belongs
    (f"{B}.workers", "lots", "it is an integer"),
    (f"{B}.lease", "five minutes", "it is a number"),
    (f"{H}.interval", "300 s", "it is a number"),
    (f"{U}.time_limit", "10m", "Seconds that a destination may take"),
    (f"{B}.memory_per_worker", "4GB", "MiB of memory"),
    (f"{H}.days_ahead", "14d", "it is an integer"),
    (f"{G}.port", "https", "it is an integer"),
    (f"{T}.forgotten_hours", "a day", "it is a number"),
    # neither true nor false
    (f"{B}.require_consent", "maybe", "true or false"),
    (f"{G}.plain_http", 2, "true or false"),
    ("Logger.ask_user", "ask", "true or false"),
    (f"{T}.transfer.on", "oui", "true or false"),
    # numbers in the wrong unit, or out of range
    (f"{H}.time_limit", 60_000, "at most 3600"),
    (f"{H}.interval", 86_400_000, "at most 86400"),
    (f"{B}.workers", 0, "at least 1"),
    (f"{B}.workers", 2.5, "it is an integer"),
    (f"{G}.port", 70_000, "at most 65535"),
    (f"{U}.retry_first", -1, "at least 0.1"),
    ("Log.file_size", 5, "at least 10000"),
    (f"{N}.remind_hours", 0, "at least 0.1"),
    (f"{T}.transfer.stable_seconds", 0.001, "at least 1"),
    ("Logger.close_delay", 3000, "at most 60"),
    # a number that became text, and a text that became a number
    (f"{H}.parallel", "4", "integer is declared"),
    (f"{B}.settle", "1.0", "double is declared"),
    (f"{T}.property_tag", 123, "string is declared"),
    # not one of the choices
    (f"{B}.strategy", "exclusiv", "did you mean 'exclusive'"),
    (f"{U}.strategy", "al", "did you mean 'all'"),
    (f"{U}.destinations", "directry", "did you mean 'directory'"),
    (f"{U}.destinations", "cdcs directory", "is not one of"),
    (f"{T}.harvester", "nmeo", "did you mean 'nemo'"),
    (f"{T}.strategy", "everything", "exclusive, inclusive"),
    (f"{T}.file_times", "PC", "did you mean 'pc'"),
    ("Log.mail_level", "WARN", "did you mean 'WARNING'"),
    (f"{G}.metrics", "public", "loopback, token"),
    (f"{U}.cdcs.content_key", "xml", "xml_content, content"),
    # a misspelt service, parameter, field, source or destination
    ("Services.Biulder.interval", 5.0, "did you mean 'Services.Builder'"),
    (f"{B}.wrokers", 4, "did you mean 'Services.Builder.workers'"),
    (f"{T}.filestore_pth", "/srv", "did you mean 'Instruments.Titan.filestore_path'"),
    (f"{H}.nmeo.page_size", 100, "did you mean 'Services.Harvester.nemo'"),
    (f"{U}.directroy.path", "/srv", "did you mean 'Services.Uploader.directory'"),
    ("Servces.Builder.workers", 3, "did you mean 'Services'"),
    # relative paths
    (f"{B}.records_path", "records", "absolute path"),
    (f"{U}.directory.path", "./uploaded", "absolute path"),
    ("Facility.data_root", "data", "absolute path"),
    (f"{G}.tls_key", "key.pem", "absolute path"),
    # impossible addresses
    (f"{U}.cdcs.url", "cdcs.example.org", "begins with https://"),
    (f"{H}.nemo.instances.main.url", "https://", "without a valid host"),
    (f"{T}.calendar_url", "htp://calendar.example.org", "begins with https://"),
    (f"{G}.trusted_proxies", "10.0.0.0/64", "neither an IP address nor a network"),
    (f"{G}.address", "localhost", "not an IP address"),
    # unknown time zones and times
    (f"{T}.timezone", "Europe/Olso", "did you mean 'Europe/Oslo'"),
    (f"{T}.timezone", "GMT+25", "not a time zone"),
    (f"{N}.silences.inbox", "next week", "not a time such as"),
    # a folder where a parameter belongs, and the other way round
    (f"{G}.oldest_client", "new", "pattern"),
)
