/** Owns: instants in the reader's own time, and distances that stay true. */
import { agoText, spanText } from "../span.ts";
import { onDrawn } from "./page.ts";

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export function startTimes(): void {
  onDrawn((root) => {
    for (const time of root.querySelectorAll<HTMLTimeElement>("time[data-form]")) write(time);
  });
  setInterval(() => {
    if (document.hidden) return;
    const moving = document.querySelectorAll<HTMLTimeElement>("time[data-form=ago], time[data-form=since]");
    for (const time of moving) write(time);
  }, 1000);
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
  if (form === "day") return day.format(at);
  return form === "hour" ? hour.format(at) : clock.format(at);
}
