"""Where the migrations lie: at the top of a checkout, or inside the installed package.

In a checkout they are `alembic/`, beside `app/`; a wheel carries the same files as `app/migrations/` (the mapping is in
pyproject.toml). They are files for Alembic to load, never a package to import.
"""

from __future__ import annotations

from pathlib import Path


def migrations_path() -> Path:
    """The directory that holds `env.py` and `versions/`."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "alembic"
