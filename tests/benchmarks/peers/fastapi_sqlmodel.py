"""Peer A: FastAPI + SQLModel in the ordinary tutorial style (async def routes, sync Session)."""
import os
from datetime import datetime, timezone
from typing import List, Optional
import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Field, Session, SQLModel, create_engine, select
from sqlalchemy import Column, DateTime

DATABASE_URL = os.environ["DATABASE_URL"]
SECRET = os.environ["JWT_SECRET"]
# The tutorial form is create_engine(DATABASE_URL): 5+10 connections; with async def routes it locks up at 16 concurrent requests (QueuePool timeout, 30 s).
_pool = {"pool_size": int(os.environ["A_POOL"]), "max_overflow": 0} if os.environ.get("A_POOL") else {}
engine = create_engine(DATABASE_URL, **_pool)
security = HTTPBearer(auto_error=False)
app = FastAPI()


class Task(SQLModel, table=True):
    __tablename__ = "tasks_task"
    id: Optional[int] = Field(default=None, primary_key=True)
    user_id: int = Field(index=True)
    title: str = Field(max_length=200)
    description: str = ""
    status: str = "todo"
    created_at: datetime = Field(default_factory=lambda: datetime.now(timezone.utc), sa_column=Column(DateTime(timezone=True)))
    updated_at: datetime = Field(default_factory=lambda: datetime.now(timezone.utc), sa_column=Column(DateTime(timezone=True)))


class TaskCreate(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str = ""
    status: str = "todo"


class TaskUpdate(SQLModel):
    title: Optional[str] = Field(default=None, min_length=1, max_length=200)
    description: Optional[str] = None
    status: Optional[str] = None


class TaskResponse(SQLModel):
    id: int
    user_id: int
    title: str
    description: str
    status: str
    created_at: datetime
    updated_at: datetime


def get_db():
    with Session(engine) as session:
        yield session


async def get_current_user(cred: HTTPAuthorizationCredentials = Depends(security)) -> int:
    if cred is None:
        raise HTTPException(status_code=401, detail="Not authenticated")
    try:
        payload = jwt.decode(cred.credentials, SECRET, algorithms=["HS256"])
        return int(payload["user_id"])
    except (jwt.PyJWTError, KeyError, ValueError):
        raise HTTPException(status_code=401, detail="Invalid token")


def own(user_id: int, current: int):
    if user_id != current:
        raise HTTPException(status_code=403, detail="Forbidden")


@app.get("/api/{user_id}/tasks", response_model=List[TaskResponse])
async def list_tasks(user_id: int, status: Optional[str] = None, limit: int = Query(50, le=100), offset: int = 0,
                     db: Session = Depends(get_db), current: int = Depends(get_current_user)):
    own(user_id, current)
    q = select(Task).where(Task.user_id == user_id)
    if status:
        q = q.where(Task.status == status)
    return db.exec(q.order_by(Task.id.desc()).offset(offset).limit(limit)).all()


@app.post("/api/{user_id}/tasks", response_model=TaskResponse, status_code=201)
async def create_task(user_id: int, data: TaskCreate, db: Session = Depends(get_db), current: int = Depends(get_current_user)):
    own(user_id, current)
    task = Task(**data.model_dump(), user_id=user_id)
    db.add(task)
    db.commit()
    db.refresh(task)
    return task


def _get(db, user_id, task_id):
    task = db.exec(select(Task).where(Task.id == task_id, Task.user_id == user_id)).first()
    if not task:
        raise HTTPException(status_code=404, detail="Task not found")
    return task


@app.get("/api/{user_id}/tasks/{task_id}", response_model=TaskResponse)
async def get_task(user_id: int, task_id: int, db: Session = Depends(get_db), current: int = Depends(get_current_user)):
    own(user_id, current)
    return _get(db, user_id, task_id)


@app.put("/api/{user_id}/tasks/{task_id}", response_model=TaskResponse)
@app.patch("/api/{user_id}/tasks/{task_id}", response_model=TaskResponse)
async def update_task(user_id: int, task_id: int, data: TaskUpdate, db: Session = Depends(get_db), current: int = Depends(get_current_user)):
    own(user_id, current)
    task = _get(db, user_id, task_id)
    for k, v in data.model_dump(exclude_unset=True).items():
        setattr(task, k, v)
    task.updated_at = datetime.now(timezone.utc)
    db.add(task)
    db.commit()
    db.refresh(task)
    return task


@app.delete("/api/{user_id}/tasks/{task_id}", status_code=204)
async def delete_task(user_id: int, task_id: int, db: Session = Depends(get_db), current: int = Depends(get_current_user)):
    own(user_id, current)
    db.delete(_get(db, user_id, task_id))
    db.commit()
