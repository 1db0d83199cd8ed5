"""Projects and tasks that look like people's own, in many scripts, for `manage.py seed_demo`."""

import datetime as dt
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tasks import positions
from tasks.choices import OPEN, Priority, Status
from tasks.completions import Completion
from tasks.demo.bulk import Done, NewRow
from tasks.demo.habits import HABITS
from tasks.models import Task
from tasks.projects.models import Project
from users.models import User

VARIANTS = 250  # of content, for each language


class Language(NamedTuple):
    person: str
    timezone: str
    titles: tuple[str, ...]  # {} stands for a thing
    things: tuple[str, ...]
    descriptions: tuple[str, ...]
    tags: tuple[str, ...]
    projects: tuple[str, ...]  # for each of PLANS
    steps: tuple[str, ...]  # of a checklist
    habits: tuple[str, ...]  # titles, for each of HABITS


class Plan(NamedTuple):
    """A project that everybody has, under a name of their language."""

    color: str
    share: int  # of the tasks, in percent; the others are in the inbox
    within: int | None = None  # the place of its parent in PLANS
    is_archived: bool = False


PLANS = (
    Plan("#4073d6", 25),
    Plan("#299438", 15),
    Plan("#ff9933", 10, within=1),
    Plan("#884dff", 10),
    Plan("#db4035", 10),
    Plan("#808080", 5, is_archived=True),
)
CHECKLISTS = 0.06  # of the tasks begin one
MOVED = 0.15  # of the tasks somebody has moved to another place
PER_HABIT = 10  # tasks; who has fewer has no habit


LANGUAGES = (
    Language(
        "Ada Lovelace", "Europe/London",
        ("Call {} back", "Send {} the invoice", "Prepare the meeting with {}", "Buy a present for {} 🎁"),
        ("the dentist", "Café Zoë", "the bank", "Grandma", "the team", "Mr O’Neill"),
        ("", "Ask for the résumé, too.", "Two pages at most; the figures are in last quarter's report.", "✅ booked"),
        ("work", "home", "family", "urgent"),
        ("Work", "Home", "Kitchen renovation", "Trip to Lisbon", "Family", "Moving house 2024"),
        ("Make a list", "Ask for a price", "Compare three offers", "Pay the deposit", "Tell everybody"),
        ("Take vitamins", "Go for a run", "Put the bins out", "Water the plants", "Pay the rent", "Back up the laptop"),
    ),
    Language(
        "Jürgen Groß", "Europe/Berlin",
        ("{} reparieren", "Termin für {} ausmachen", "{} nicht vergessen!", "Über {} nachdenken"),
        ("Straßenlaterne", "Fahrrad", "die Steuererklärung", "Müllabfuhr", "Schlüssel"),
        ("", "Größe und Maße vorher prüfen.", "Öffnungszeiten: 8–16 Uhr"),
        ("Haus", "Büro", "Ämter"),
        ("Arbeit", "Zuhause", "Küche renovieren", "Reise nach Südtirol", "Familie", "Umzug 2024"),
        ("Liste schreiben", "Angebote einholen", "Maße prüfen", "Anzahlung überweisen", "Bescheid geben"),
        ("Vitamine nehmen", "Laufen gehen", "Müll rausstellen", "Blumen gießen", "Miete überweisen", "Daten sichern"),
    ),
    Language(
        "Ольга Иванова", "Europe/Moscow",
        ("Позвонить: {}", "Купить {}", "Подготовить {} к пятнице", "Проверить {}"),
        ("отчёт", "бабушка", "билеты на поезд", "договор", "молоко и хлеб"),
        ("", "Не забыть про подпись на второй странице.", "Ёлка — до конца недели 🎄"),
        ("работа", "дом", "срочно"),
        ("Работа", "Дом", "Ремонт кухни", "Поездка на Байкал", "Семья", "Переезд 2024"),
        ("Составить список", "Узнать цену", "Сравнить варианты", "Внести предоплату", "Всем сообщить"),
        ("Принять витамины", "Пробежка", "Вынести мусор", "Полить цветы", "Заплатить за квартиру", "Резервная копия"),
    ),
    Language(
        "فاطمة الزهراء", "Africa/Cairo",
        ("شراء {}", "الاتصال بـ{}", "مراجعة {}", "إرسال {} بالبريد"),
        ("الخبز والحليب", "الطبيب", "التقرير السنوي", "تذاكر السفر", "كتاب جديد"),
        ("", "قبل نهاية الأسبوع إن شاء الله.", "السعر ١٢٠ جنيهًا"),
        ("عمل", "بيت", "عائلة"),
        ("العمل", "البيت", "تجديد المطبخ", "رحلة إلى أسوان", "العائلة", "الانتقال ٢٠٢٤"),
        ("كتابة القائمة", "السؤال عن السعر", "مقارنة العروض", "دفع العربون", "إخبار الجميع"),
        ("تناول الفيتامينات", "الخروج للجري", "إخراج القمامة", "سقي النباتات", "دفع الإيجار", "نسخ الملفات احتياطيًا"),
    ),
    Language(
        "王小明", "Asia/Shanghai",
        ("完成{}", "给{}打电话", "准备{}", "检查{}的进度"),
        ("季度报告", "客户", "下周的会议", "机票", "孩子的作业"),
        ("", "请在周五之前发给王经理。", "预算：￥3,000"),
        ("工作", "家庭", "重要"),
        ("工作", "家", "厨房装修", "去云南旅行", "家人", "2024年搬家"),
        ("列清单", "问价格", "比较三家", "付定金", "通知大家"),
        ("吃维生素", "去跑步", "倒垃圾", "给花浇水", "交房租", "备份电脑"),
    ),
    Language(
        "佐藤花子", "Asia/Tokyo",
        ("{}を買う", "{}に電話する", "{}を片付ける", "{}の予約 🍣"),
        ("牛乳", "歯医者", "ガレージ", "会議資料", "お弁当"),
        ("", "来週の月曜日までに。", "カタカナとひらがなを確認する"),
        ("仕事", "買い物", "家"),
        ("仕事", "家", "キッチンのリフォーム", "京都旅行", "家族", "2024年の引っ越し"),
        ("リストを作る", "見積もりを頼む", "値段を比べる", "手付金を払う", "みんなに知らせる"),
        ("ビタミンを飲む", "ランニングをする", "ゴミを出す", "植物に水をやる", "家賃を払う", "PCをバックアップする"),
    ),
    Language(
        "अनन्या शर्मा", "Asia/Kolkata",
        ("{} खरीदना", "{} को फ़ोन करना", "{} की तैयारी", "{} भेजना"),
        ("दूध और सब्ज़ी", "डॉक्टर", "रिपोर्ट", "टिकट", "दादी"),
        ("", "शाम को पाँच बजे से पहले।", "रसीद साथ रखना 🧾"),
        ("काम", "घर", "ज़रूरी"),
        ("काम", "घर", "रसोई की मरम्मत", "केरल यात्रा", "परिवार", "2024 का घर बदलना"),
        ("सूची बनाना", "दाम पूछना", "तीन जगह तुलना", "बयाना देना", "सबको बताना"),
        ("विटामिन लेना", "दौड़ने जाना", "कूड़ा बाहर रखना", "पौधों को पानी देना", "किराया देना", "कंप्यूटर का बैकअप लेना"),
    ),
    Language(
        "김민준", "America/Los_Angeles",
        ("{} 사기", "{}에게 전화하기", "{} 정리하기", "🏃‍♀️ {} 운동"),
        ("우유", "치과", "회의 자료", "아침", "책상"),
        ("", "금요일까지 꼭 끝내기.", "주차는 지하 2층"),
        ("일", "집", "건강"),
        ("일", "집", "주방 리모델링", "제주도 여행", "가족", "2024년 이사"),
        ("목록 만들기", "가격 알아보기", "세 군데 비교", "계약금 내기", "모두에게 알리기"),
        ("비타민 먹기", "달리기", "쓰레기 내놓기", "화분에 물 주기", "월세 내기", "컴퓨터 백업하기"),
    ),
)  # fmt: skip


class Author:
    """Writes the projects and tasks of users who have one language; may do so in several threads."""

    def __init__(self, language: Language, now: dt.datetime) -> None:
        self.language, self.now = language, now
        self.like = User(timezone=language.timezone)
        self.dice = random.Random(f"tickbase {language.person}")
        self.variants = [self._like(self._fields()) for _ in range(VARIANTS)]
        self.open_steps, self.completed_steps = (
            [self._like({"title": step, "status": status}) for step in language.steps]
            for status in (Status.PENDING, Status.COMPLETED)
        )
        self.habits: list[tuple[Task, list[Done]]] = []
        for habit, title in zip(HABITS, language.habits, strict=True):
            due, done = habit.lived(self.like.zone, now, self.dice)
            self.habits.append((self._like({"title": title, **habit.fields(due)}), done))
        self.plans = [Project() for _ in PLANS]
        for project, plan, name in zip(self.plans, PLANS, language.projects, strict=True):
            project.apply({"name": name, "color": plan.color, "is_archived": plan.is_archived}, self.like, now)

    def projects(self, user: User) -> list[NewRow]:
        """One for each of PLANS, since there is the account."""
        made: list[NewRow] = []
        for number, (like, plan) in enumerate(zip(self.plans, PLANS, strict=True)):
            created_at = user.created_at + number * dt.timedelta(seconds=1)
            archived_at = created_at + (self.now - created_at) / 2 if plan.is_archived else None
            own = {"position": positions.newest(created_at), **({"archived_at": archived_at} if archived_at else {})}
            refers = {} if plan.within is None else {"parent_id": made[plan.within]}
            made.append(NewRow(user.pk, like, created_at, archived_at, own, refers))
        return made

    def tasks(self, user: User, count: int, projects: Sequence[NewRow] = ()) -> Iterator[NewRow]:
        """From the oldest to the newest, since there is the account: habits, and tasks that are finished or not, some
        with a checklist."""
        step, dice = (self.now - user.created_at) / (count + 1), self.dice
        number, habits = 0, self.habits[: count // PER_HABIT]
        while number < count:
            like, done = habits[number] if number < len(habits) else (dice.choice(self.variants), None)
            created_at = self.now - step * (count - number + dice.random())
            task = self._task(user, like, created_at, self._project(like, projects), done=done)
            yield task
            number += 1
            if done is None and dice.random() < CHECKLISTS:
                length = min(dice.randint(2, len(self.language.steps)), count - number)
                yield from self._checklist(user, task, length, step / 100)
                number += length

    def _checklist(self, user: User, task: NewRow, length: int, pause: dt.timedelta) -> Iterator[NewRow]:
        """Steps within a task, the first ones of them done; all, if it is."""
        done = length if task.changed_at else self.dice.randint(0, length - 1) if length else 0
        for number in range(length):
            like = (self.completed_steps if number < done else self.open_steps)[number]
            yield self._task(user, like, task.created_at + pause * (number + 1), task.refers, task)

    def _task(
        self,
        user: User,
        like: Task,
        created_at: dt.datetime,
        project: Mapping[str, NewRow],
        parent: NewRow | None = None,
        done: Sequence[Done] | None = None,
    ) -> NewRow:
        """`done` is what has been done of a task that recurs."""
        placed_at, own, refers = created_at, dict[str, Any](), project
        if parent is not None:
            refers = {**project, "parent_id": parent}
        elif self.dice.random() < MOVED:
            placed_at = user.created_at + (self.now - user.created_at) * self.dice.random()
        if like.status == Status.COMPLETED:
            own["completed_at"] = created_at + (self.now - created_at) * self.dice.random()
            done = [Done(own["completed_at"], like.due_date, like.due_at)]
        own["position"] = positions.newest(placed_at)
        done = [each for each in done or () if each.at > created_at]
        if counted := [each.at for each in done if each.kind == Completion.Kind.COMPLETED]:
            own |= {"completions": len(counted), "last_completed_at": counted[-1]}
        return NewRow(user.pk, like, created_at, done[-1].at if done else None, own, refers, done)

    def _project(self, like: Task, projects: Sequence[NewRow]) -> dict[str, NewRow]:
        """What is archived has no open tasks."""
        place = self.dice.randrange(100)
        for row, plan in zip(projects, PLANS, strict=False):
            place -= plan.share
            if place < 0:
                return {} if plan.is_archived and like.status in OPEN else {"project_id": row}
        return {}

    def _like(self, fields: dict[str, Any]) -> Task:
        """As `services.create_task` makes one."""
        task = Task()
        task.apply(fields, self.like, self.now)
        return task

    def _fields(self) -> dict[str, Any]:
        dice, language = self.dice, self.language
        return {
            "title": dice.choice(language.titles).format(dice.choice(language.things)),
            "description": dice.choice(language.descriptions),
            "status": dice.choices(list(Status), [40, 15, 40, 5])[0].value,
            "priority": dice.choices(list(Priority), [20, 60, 20])[0].value,
            "tags": dice.sample(language.tags, dice.randint(0, 2)),
            **self._due(),
        }

    def _due(self) -> dict[str, Any]:
        """None, a date or a moment; some of them past."""
        moment = self.now + dt.timedelta(days=self.dice.randint(-30, 60), minutes=self.dice.randrange(0, 1440, 15))
        kinds: list[dict[str, Any]] = [
            {},
            {"due_date": moment.date()},
            {"due_at": moment.replace(second=0, microsecond=0)},
        ]
        return self.dice.choice(kinds)
