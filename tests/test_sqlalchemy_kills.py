"""A process that is killed at any step between an upload and what follows the commit: no row is without its file, and
what no row names the command for orphans finds."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL")

# Forks a child for each step at which it could die; prints what was seen.
SCRIPT = textwrap.dedent(
    """
    import collections, io, itertools, os, signal, sys, tempfile, time
    from pathlib import Path
    from unittest import mock
    import mediamw.cli
    from mediamw import LocalBackend, MediaStack, storages
    from mediamw.ext.sqlalchemy import MediaField, MediaFile
    from mediamw.ext.depot.fields.sqlalchemy import UploadedFileField
    from mediamw.ext.depot.io.local import DepotDirectory
    from sqlalchemy import create_engine, delete, event, select
    from sqlalchemy.orm import DeclarativeBase, Session, Mapped, mapped_column
    from tests.killing import MEMORY, dying, forked

    CALLS = ("write", "fsync", "link", "replace", "unlink", "mkdir", "open", "rmdir")
    column, ending = sys.argv[1:3]

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        if column == "MediaField":
            photo = mapped_column(MediaField("avatars"))
        else:
            photo = mapped_column(UploadedFileField(upload_storage="avatars"))

    def engine_of(root):
        engine = create_engine(f"sqlite:///{root}/db.sqlite")
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine

    def set_up(root):
        storages.clear()
        backend = LocalBackend if column == "MediaField" else DepotDirectory
        storages.configure("avatars", MediaStack([backend(f"{root}/media")]))

    def step(*_):
        os.chmod("/", 0)  # counted, and never done: a step of the database

    def act(root):
        engine = engine_of(root)
        # Each statement, and before and after each COMMIT, is a step at which it may die.
        event.listen(engine, "before_cursor_execute", step)
        commit = engine.dialect.do_commit
        engine.dialect.do_commit = lambda connection: (step(), commit(connection), step())
        with Session(engine) as session:
            one, two, three, four = session.scalars(select(Person).order_by(Person.id))
            one.photo = b"new one"
            session.add(Person(id=9, photo=b"nine"))
            with session.begin_nested() as savepoint:
                two.photo = b"never"
                session.flush()
                savepoint.rollback()
            session.delete(two)
            session.flush()
            session.execute(delete(Person).where(Person.id == 3))
            four.photo, one_more = None, Person(id=8, photo=four.photo)
            session.add(one_more)
            getattr(session, ending)()

    def rows(root):
        with Session(engine_of(root)) as session:
            found = {}
            for person in session.scalars(select(Person)):
                if person.photo is not None:
                    file = person.photo.open() if column == "MediaField" else person.photo.file
                    with file:
                        found[person.id] = file.read()
            return found

    BEFORE = {1: b"1", 2: b"2", 3: b"3", 4: b"4"}
    AFTER = {1: b"new one", 8: b"4", 9: b"nine"}

    def orphans(root, *more):
        out = io.StringIO()
        keep = mock.patch.object(storages.registry, "clear")
        with mock.patch("sys.stdout", out), mock.patch("sys.stderr", io.StringIO()), keep:
            arguments = ["--app", "mediamw.storages:registry", "--models", "__main__:Base", "--older-than", "0s"]
            arguments += ["--database", f"sqlite:///{root}/db.sqlite", *more]
            status = mediamw.cli.main(["storages", "orphans", *arguments])
        assert status == 0, status
        return [line.partition(":")[0] for line in out.getvalue().splitlines()]

    outcomes, died = collections.Counter(), 0
    for at, after in itertools.product(range(1, 1000), (False, True)):
        with tempfile.TemporaryDirectory(dir=MEMORY) as root:
            set_up(root)
            Base.metadata.create_all(engine_of(root))
            with Session(engine_of(root)) as session:
                session.add_all([Person(id=number, photo=b"%d" % number) for number in (1, 2, 3, 4)])
                session.commit()

            def die():
                set_up(root)
                real = os.chmod
                os.chmod = lambda path, *rest, **options: None if path == "/" else real(path, *rest, **options)
                dying((*CALLS, "chmod"), at, after=after)
                act(root)

            _, status = os.waitpid(forked(die), 0)
            found = rows(root)  # raises if a row has no file
            assert found in (BEFORE, AFTER), found
            stored = {entry.key for entry in storages.get("avatars").list(recursive=True)}
            listed = orphans(root)
            metas = [entry.meta for entry in storages.get("avatars").list(recursive=True)]
            assert len(stored) == len(found) + len(listed), (stored, found, listed, time.time(), metas)
            outcomes["after" if found == AFTER else "before"] += 1
            outcomes["with orphans"] += bool(listed)
            assert orphans(root, "--delete") == listed
            assert orphans(root) == []
            assert rows(root) == found
            if not os.WIFSIGNALED(status):
                assert (status, listed, found) == (0, [], AFTER if ending == "commit" else BEFORE)
                break
            died += 1
    print(died, *(f"{what}: {count}" for what, count in sorted(outcomes.items())), sep=", ")
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["MediaField", "UploadedFileField"])
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_whenever_it_is_killed(column: str, ending: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, column, ending],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    print(ran.stdout)
    died = int(ran.stdout.partition(",")[0])
    assert died > 60
    assert "before: " in ran.stdout
    assert ("after: " in ran.stdout) == (ending == "commit")
    assert "with orphans: 0" not in ran.stdout
