"""A gallery: SQLAlchemy models whose files lie on the disk, or only in production. The three lines are marked."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, abort, redirect, render_template, request, url_for
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from werkzeug.exceptions import Conflict
from werkzeug.utils import secure_filename

from mediamw import InvalidKey, NameTaken
from mediamw.cli.demo.catalogue import all_media
from mediamw.core.keys import parse_key
from mediamw.ext.flask import MediaMW  # 1

media = MediaMW()  # 2


class Base(DeclarativeBase):
    pass


class Picture(Base):
    __tablename__ = "picture"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[str]  # the key


def create_app(database: str | None = None) -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 20 * 1024 * 1024
    media.init_app(app)  # 3: what to serve stands in the environment
    engine = create_engine(database or os.environ.get("DATABASE_URL", "sqlite:///gallery.db"))
    Session = sessionmaker(engine)
    Base.metadata.create_all(engine)
    with Session.begin() as session:
        if session.scalar(select(Picture).limit(1)) is None:
            session.add_all(dump())

    @app.get("/")
    def index() -> str:
        with Session() as session:
            return render_template("index.html", pictures=session.scalars(select(Picture).order_by(Picture.id)).all())

    @app.get("/pictures/<int:number>")
    def picture(number: int) -> str:
        with Session() as session:
            found = session.get(Picture, number) or abort(404)
            return render_template("picture.html", picture=found, where=media.stack.explain(found.file))

    @app.post("/pictures")
    def upload() -> Any:
        sent = request.files.get("file")
        name = secure_filename(sent.filename or "") if sent is not None else ""
        if sent is None or not name:
            abort(400, "choose a file")
        key = free_key(f"uploads/{name}", sent.stream)
        with Session.begin() as session:
            made = Picture(title=request.form.get("title") or name, file=key)
            session.add(made)
            session.flush()
            return redirect(url_for("picture", number=made.id))

    return app


def free_key(wanted: str, data: Any) -> str:
    """Store ``data`` under ``wanted``, or with a number in its name: nothing is overwritten, here or in production."""
    stem, dot, extension = wanted.rpartition(".")
    upper: Any = media.stack.upper
    for number in range(1, 100):
        name = wanted if number == 1 else f"{stem or extension}-{number}{dot}{extension if stem else ''}"
        try:
            key = parse_key(name)
            if not media.stack.exists(key):
                data.seek(0)
                upper.put(key, data)
                return key
        except NameTaken:  # by another request, a moment ago
            continue
        except InvalidKey as error:
            abort(400, str(error))
    raise Conflict("there are 99 files of that name already")


def dump() -> list[Picture]:
    """What the dump of production's database has: rows, and no files."""
    return [
        Picture(title=file.alt, file=file.key)
        for _, file in all_media()
        if file.kind == "image" and file.asset is not None
    ]
