"""The four routes of ``api_speed`` as the program before had them, to compare with.

FastAPI on uvicorn, rows as objects of SQLAlchemy through asyncpg, answers by pydantic:
what that program was made of, on the tables of this one. It is not that program, whose
figures on another machine it comes close to (``api_speed.PATHS``).
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any, Optional

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from pydantic import ConfigDict, create_model
from sqlalchemy import Numeric, create_engine, select
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.ext.automap import automap_base

_URL = os.environ["DATABASE_URL"].partition("://")[2]
_engine = create_engine(f"postgresql+psycopg://{_URL}")
_base = automap_base()
_base.prepare(
    autoload_with=_engine,
    reflection_options={"only": ["users", "bot_configs", "trades", "backtests"]},
    generate_relationship=lambda *_, **__: None,
)
_engine.dispose()
User = _base.classes.users
BotConfig = _base.classes.bot_configs
Trade = _base.classes.trades
Backtest = _base.classes.backtests

sessions = async_sessionmaker(
    create_async_engine(f"postgresql+asyncpg://{_URL}"), expire_on_commit=False
)
app = FastAPI()


def answer_of(name: str, model: Any, *columns: str) -> Any:
    """Return a model of pydantic for these columns, or for all of them."""
    fields: dict[str, Any] = {}
    for column in model.__table__.columns:
        if not columns or column.name in columns:
            number = isinstance(column.type, Numeric)
            kind: Any = float if number else column.type.python_type
            fields[column.name] = (Optional[kind], None)  # noqa: UP045  # made at run time
    return create_model(name, __config__=ConfigDict(from_attributes=True), **fields)


UserAnswer = answer_of("UserAnswer", User, "id", "email", "is_active", "created_at")
BotAnswer = answer_of("BotAnswer", BotConfig)
TradeAnswer = answer_of("TradeAnswer", Trade)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_db)]
Token = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login"))]


async def get_user(token: Token, db: Session) -> Any:
    try:
        claims = jwt.decode(token, os.environ["JWT_SECRET"], algorithms=["HS512"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    user = await db.scalar(select(User).where(User.email == claims["sub"]))
    if user is None or not user.is_active:
        raise HTTPException(401)
    return user


Caller = Annotated[Any, Depends(get_user)]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok", "at": dt.datetime.now(dt.UTC).isoformat()}


@app.get("/api/v1/auth/me", response_model=UserAnswer)
async def me(user: Caller) -> Any:
    return user


@app.get("/api/v1/bot-configs/", response_model=list[BotAnswer])
async def bots(user: Caller, db: Session) -> Any:
    found = await db.scalars(select(BotConfig).where(BotConfig.user_id == user.id))
    return found.all()


@app.get("/api/v1/trades/", response_model=list[TradeAnswer])
async def trades(user: Caller, db: Session) -> Any:
    found = await db.scalars(select(Trade).where(Trade.user_id == user.id))
    return found.all()


@app.get("/api/v1/backtest/list")
async def backtests(user: Caller, db: Session) -> Any:
    newest = select(Backtest).where(Backtest.user_id == user.id)
    found = await db.scalars(newest.order_by(Backtest.created_at.desc()).limit(50))
    listed = ("id", "symbol", "interval", "start_date", "end_date", "total_trades")
    return {
        "status": "success",
        "data": [
            {name: getattr(row, name) for name in listed}
            | {
                "total_return": round(row.total_return, 2),
                "win_rate": round(row.win_rate, 2),
                "test_mode": str(row.test_mode),
                "created_at": row.created_at,
            }
            for row in found
        ],
    }
