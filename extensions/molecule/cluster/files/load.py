# Copyright (c) 2026 the vllm_ray.cluster authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an engine one question after the other, until a file is there or $LOAD_SECONDS (5) are over.

load.py URL KEY-FILE ANSWERS STOP-FILE prints {right, wrong, median_s, max_s, outage_s}: how many answers were right to
the letter, what came in place of the others, the seconds from question to answer, and the longest time without a right
answer. Key and CA ($SSL_CERT_FILE) are read for each question, as they may be renewed meanwhile.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import ssl
import statistics
import sys
import time
import urllib.request
from pathlib import Path

url, key_file, answers_file, stop = sys.argv[1:]
end = time.monotonic() + float(os.environ.get("LOAD_SECONDS", "5"))
wrong: list[str] = []
seconds: list[float] = []
right = [time.monotonic()]
for known in itertools.cycle(json.loads(Path(answers_file).read_text(encoding="utf-8"))):
    if time.monotonic() > end or Path(stop).exists():
        break
    messages = [{"role": "user", "content": known["question"]}]
    body = {"model": "demo", "messages": messages, "max_tokens": 32, "temperature": 0}
    key = Path(key_file).read_text(encoding="utf-8").strip()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60, context=ssl.create_default_context()) as answer:
            said = json.load(answer)["choices"][0]["message"]["content"]
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = repr(error)
    seconds.append(time.monotonic() - began)
    if said == known["answer"]:
        right.append(time.monotonic())
    elif said not in wrong:
        wrong.append(said)
    # The hosts share few cores with the runs beside it; and a port that is closed answers at once.
    time.sleep(0.3)
outage = max((later - sooner for sooner, later in itertools.pairwise(right)), default=0.0)
told = {"median_s": round(statistics.median(seconds), 2), "max_s": round(max(seconds), 2), "outage_s": round(outage, 1)}
print(json.dumps({"right": len(right) - 1, "wrong": wrong, **told}))
