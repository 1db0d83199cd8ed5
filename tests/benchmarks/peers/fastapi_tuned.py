"""Peer A2: FastAPI well tuned: SQLAlchemy Core async + asyncpg, orjson bytes response (no response_model work), uvloop + httptools.
Bodies are still validated by pydantic, auth by PyJWT."""
import os
from datetime import datetime, timezone
from typing import Optional
import jwt, orjson
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, String, Table, Text, delete, insert, select, update
from sqlalchemy.ext.asyncio import create_async_engine

SECRET = os.environ["JWT_SECRET"]
engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=int(os.environ.get("POOL", "8")), max_overflow=0,
                             isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
app = FastAPI()
T = Table("tasks_task", MetaData(), Column("id", BigInteger, primary_key=True), Column("user_id", Integer), Column("title", String(200)),
          Column("description", Text), Column("status", String(16)), Column("created_at", DateTime(timezone=True)), Column("updated_at", DateTime(timezone=True)))
K = ["id", "user_id", "title", "description", "status", "created_at", "updated_at"]


class TaskCreate(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    description: str = ""
    status: str = "todo"


class TaskUpdate(BaseModel):
    title: Optional[str] = Field(default=None, min_length=1, max_length=200)
    description: Optional[str] = None
    status: Optional[str] = None


async def owner(user_id: int, request: Request) -> int:
    h = request.headers.get("authorization", "")
    if not h.startswith("Bearer "):
        raise HTTPException(401, "Not authenticated")
    try:
        p = jwt.decode(h[7:], SECRET, algorithms=["HS256"])
        uid = int(p["user_id"])
    except (jwt.PyJWTError, KeyError, ValueError):
        raise HTTPException(401, "Invalid token")
    if uid != user_id:
        raise HTTPException(403, "Forbidden")
    return uid


def one(row, code=200):
    if row is None:
        raise HTTPException(404, "Task not found")
    return Response(orjson.dumps(dict(zip(K, row))), code, media_type="application/json")


@app.get("/api/{user_id}/tasks")
async def list_tasks(status: Optional[str] = None, limit: int = Query(50, le=100), offset: int = 0, uid: int = Depends(owner)):
    q = select(T).where(T.c.user_id == uid)
    if status:
        q = q.where(T.c.status == status)
    async with engine.connect() as c:
        rows = (await c.execute(q.order_by(T.c.id.desc()).offset(offset).limit(limit))).all()
    return Response(orjson.dumps([dict(zip(K, r)) for r in rows]), media_type="application/json")


@app.post("/api/{user_id}/tasks", status_code=201)
async def create_task(data: TaskCreate, uid: int = Depends(owner)):
    now = datetime.now(timezone.utc)
    async with engine.connect() as c:
        return one((await c.execute(insert(T).values(user_id=uid, created_at=now, updated_at=now, **data.model_dump()).returning(T))).first(), 201)


@app.get("/api/{user_id}/tasks/{task_id}")
async def get_task(task_id: int, uid: int = Depends(owner)):
    async with engine.connect() as c:
        return one((await c.execute(select(T).where(T.c.id == task_id, T.c.user_id == uid))).first())


@app.put("/api/{user_id}/tasks/{task_id}")
@app.patch("/api/{user_id}/tasks/{task_id}")
async def update_task(task_id: int, data: TaskUpdate, uid: int = Depends(owner)):
    async with engine.connect() as c:
        return one((await c.execute(update(T).where(T.c.id == task_id, T.c.user_id == uid).values(
            updated_at=datetime.now(timezone.utc), **data.model_dump(exclude_unset=True)).returning(T))).first())


@app.delete("/api/{user_id}/tasks/{task_id}", status_code=204)
async def delete_task(task_id: int, uid: int = Depends(owner)):
    async with engine.connect() as c:
        await c.execute(delete(T).where(T.c.id == task_id, T.c.user_id == uid))
    return Response(status_code=204)
