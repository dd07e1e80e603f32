/**
 * Owns: instants in the reader's time zone, and relative times that are updated each second. They are computed here, so
 * that a waiting run is not requested, and its object not woken, until its wait is due.
 */
import { agoText, inText, leftText, spanText } from "../span.ts";
import { onDrawn, refresh } from "./page.ts";

const date = { day: "numeric", month: "short" } as const;
const minutes = { hour: "2-digit", minute: "2-digit" } as const;
const millis = { ...minutes, second: "2-digit", fractionalSecondDigits: 3 } as const;
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
// The short form of logs, because there is little room.
const exact = new Intl.DateTimeFormat(undefined, { ...date, ...millis, hourCycle: "h23" });
const whole = new Intl.DateTimeFormat(undefined, { ...date, year: "numeric", ...millis, timeZoneName: "short" });
const day = new Intl.DateTimeFormat(undefined, date);
const hour = new Intl.DateTimeFormat(undefined, minutes);
const dayAndHour = new Intl.DateTimeFormat(undefined, { ...date, ...minutes });
const withYear = new Intl.DateTimeFormat(undefined, { ...date, year: "numeric", ...minutes });

const moving = ["ago", "since", "in", "left"].map((form) => `time[data-form=${form}]`).join();
const counting = "time[data-form=in], time[data-form=left]";

export function startTimes(): void {
  onDrawn((root) => {
    for (const time of root.querySelectorAll<HTMLTimeElement>("time[data-form]")) write(time);
    for (const time of root.querySelectorAll<HTMLTimeElement>(counting)) isReached(time);
    for (const zone of root.querySelectorAll("[data-zone-name]")) zone.textContent = clock.resolvedOptions().timeZone;
  });
  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll<HTMLTimeElement>(moving)) write(time);
    const reached = [...document.querySelectorAll<HTMLTimeElement>(counting)].filter(isReached);
    if (reached.length > 0) void refresh();
  }, 1000);
}

/** Whether its instant has passed since the last call; true once for each instant. */
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
  if (time.dataset["uiLocal"] === time.dateTime) return;
  time.dataset["uiLocal"] = time.dateTime;
  time.title = whole.format(at);
}

function textOf(at: number, form: string | undefined): string {
  if (form === "ago") return agoText(at, Date.now());
  if (form === "since") return spanText(Date.now() - at);
  if (form === "in") return inText(at, Date.now());
  if (form === "left") return leftText(at - Date.now());
  if (form === "time") return timeText(new Date(at), new Date());
  if (form === "exact") return exact.format(at);
  if (form === "day") return day.format(at);
  return form === "hour" ? hour.format(at) : clock.format(at);
}

/** As in a run's reason, but in the reader's zone: with the day unless it is today, and the year unless it is this one. */
function timeText(at: Date, now: Date): string {
  if (at.toDateString() === now.toDateString()) return hour.format(at);
  return (at.getFullYear() === now.getFullYear() ? dayAndHour : withYear).format(at);
}
