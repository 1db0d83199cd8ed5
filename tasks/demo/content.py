"""Tasks that look like people's own, in many scripts, for `manage.py seed_demo`."""

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

from tasks.choices import Priority, Status
from tasks.demo.bulk import NewTask
from tasks.models import Task
from users.models import User

VARIANTS = 250  # of content, for each language


class Language(NamedTuple):
    person: str
    timezone: str
    titles: tuple[str, ...]  # {} stands for a thing
    things: tuple[str, ...]
    descriptions: tuple[str, ...]
    tags: tuple[str, ...]


LANGUAGES = (
    Language(
        "Ada Lovelace", "Europe/London",
        ("Call {} back", "Send {} the invoice", "Prepare the meeting with {}", "Buy a present for {} 🎁"),
        ("the dentist", "Café Zoë", "the bank", "Grandma", "the team", "Mr O’Neill"),
        ("", "Ask for the résumé, too.", "Two pages at most; the figures are in last quarter's report.", "✅ booked"),
        ("work", "home", "family", "urgent"),
    ),
    Language(
        "Jürgen Groß", "Europe/Berlin",
        ("{} reparieren", "Termin für {} ausmachen", "{} nicht vergessen!", "Über {} nachdenken"),
        ("Straßenlaterne", "Fahrrad", "die Steuererklärung", "Müllabfuhr", "Schlüssel"),
        ("", "Größe und Maße vorher prüfen.", "Öffnungszeiten: 8–16 Uhr"),
        ("Haus", "Büro", "Ämter"),
    ),
    Language(
        "Ольга Иванова", "Europe/Moscow",
        ("Позвонить: {}", "Купить {}", "Подготовить {} к пятнице", "Проверить {}"),
        ("отчёт", "бабушка", "билеты на поезд", "договор", "молоко и хлеб"),
        ("", "Не забыть про подпись на второй странице.", "Ёлка — до конца недели 🎄"),
        ("работа", "дом", "срочно"),
    ),
    Language(
        "فاطمة الزهراء", "Africa/Cairo",
        ("شراء {}", "الاتصال بـ{}", "مراجعة {}", "إرسال {} بالبريد"),
        ("الخبز والحليب", "الطبيب", "التقرير السنوي", "تذاكر السفر", "كتاب جديد"),
        ("", "قبل نهاية الأسبوع إن شاء الله.", "السعر ١٢٠ جنيهًا"),
        ("عمل", "بيت", "عائلة"),
    ),
    Language(
        "王小明", "Asia/Shanghai",
        ("完成{}", "给{}打电话", "准备{}", "检查{}的进度"),
        ("季度报告", "客户", "下周的会议", "机票", "孩子的作业"),
        ("", "请在周五之前发给王经理。", "预算：￥3,000"),
        ("工作", "家庭", "重要"),
    ),
    Language(
        "佐藤花子", "Asia/Tokyo",
        ("{}を買う", "{}に電話する", "{}を片付ける", "{}の予約 🍣"),
        ("牛乳", "歯医者", "ガレージ", "会議資料", "お弁当"),
        ("", "来週の月曜日までに。", "カタカナとひらがなを確認する"),
        ("仕事", "買い物", "家"),
    ),
    Language(
        "अनन्या शर्मा", "Asia/Kolkata",
        ("{} खरीदना", "{} को फ़ोन करना", "{} की तैयारी", "{} भेजना"),
        ("दूध और सब्ज़ी", "डॉक्टर", "रिपोर्ट", "टिकट", "दादी"),
        ("", "शाम को पाँच बजे से पहले।", "रसीद साथ रखना 🧾"),
        ("काम", "घर", "ज़रूरी"),
    ),
    Language(
        "김민준", "America/Los_Angeles",
        ("{} 사기", "{}에게 전화하기", "{} 정리하기", "🏃‍♀️ {} 운동"),
        ("우유", "치과", "회의 자료", "아침", "책상"),
        ("", "금요일까지 꼭 끝내기.", "주차는 지하 2층"),
        ("일", "집", "건강"),
    ),
)  # fmt: skip


class Author:
    """Writes the tasks of users who have one language; may do so in several threads."""

    def __init__(self, language: Language, now: dt.datetime) -> None:
        self.language, self.now = language, now
        self.like = User(timezone=language.timezone)
        self.dice = random.Random(f"tickbase {language.person}")
        self.variants = [Task() for _ in range(VARIANTS)]
        for task in self.variants:  # as `services.create_task` makes one
            task.apply(self._fields(), self.like, now)

    def tasks(self, user: User, count: int) -> Iterator[NewTask]:
        """From the oldest to the newest, since there is the account, each finished or not."""
        step = (self.now - user.created_at) / (count + 1)
        for number in range(count):
            like = self.variants[self.dice.randrange(len(self.variants))]
            created_at = self.now - step * (count - number + self.dice.random())
            is_completed = like.status == Status.COMPLETED
            completed_at = created_at + (self.now - created_at) * self.dice.random() if is_completed else None
            yield NewTask(user.pk, like, created_at, completed_at)

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
