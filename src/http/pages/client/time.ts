/**
 * Owns: instants in the reader's own time, and distances that stay true. They are counted here: a run that waits is
 * not asked, and so not woken, until what it waits for is due.
 */
import { describeMs } from "../../../core/duration.ts";
import { untilText } from "../../../core/phrase.ts";
import { agoText, spanText } from "../span.ts";
import { onDrawn, refresh } from "./page.ts";

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

const moving = ["ago", "since", "in", "left"].map((form) => `time[data-form=${form}]`).join();
const counting = "time[data-form=in], time[data-form=left]";

export function startTimes(): void {
  onDrawn((root) => {
    for (const time of root.querySelectorAll<HTMLTimeElement>("time[data-form]")) write(time);
    for (const time of root.querySelectorAll<HTMLTimeElement>(counting)) isReached(time);
  });
  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll<HTMLTimeElement>(moving)) write(time);
    const reached = [...document.querySelectorAll<HTMLTimeElement>(counting)].filter(isReached);
    if (reached.length > 0) void refresh();
  }, 1000);
}

/** Whether its instant has come since it was last looked at: once for each. */
function isReached({ dateTime, dataset }: HTMLTimeElement): boolean {
  if (Date.parse(dateTime) > Date.now()) {
    dataset["uiAwaited"] = dateTime;
    return false;
  }
  const wasAwaited = dataset["uiAwaited"] === dateTime;
  delete dataset["uiAwaited"];
  return wasAwaited;
}

function write(time: HTMLTimeElement): void {
  const at = Date.parse(time.dateTime);
  if (Number.isNaN(at)) return;
  const text = textOf(at, time.dataset["form"]);
  if (time.textContent !== text) time.textContent = text;
  if (time.dataset["form"] !== "clock" && time.dataset["uiLocal"] === undefined) {
    time.dataset["uiLocal"] = "";
    time.title = clock.format(at);
  }
}

function textOf(at: number, form: string | undefined): string {
  if (form === "ago") return agoText(at, Date.now());
  if (form === "since") return spanText(Date.now() - at);
  if (form === "in") return untilText(at, Date.now());
  if (form === "left") return describeMs(at - Date.now());
  if (form === "day") return day.format(at);
  return form === "hour" ? hour.format(at) : clock.format(at);
}
