/** Owns: the text for the slice under the pointer, beside a chart's legend; and selects that submit their form. */

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function startCharts(): void {
  document.addEventListener("pointerover", ({ target }) => read(target));
  document.addEventListener("pointerout", ({ target }) => {
    if (target instanceof Element && target.closest("[data-chart]") !== null) write(target, "");
  });
  document.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLSelectElement && target.dataset["submits"] !== undefined) target.form?.requestSubmit();
  });
}

function read(target: EventTarget | null): void {
  const slice = target instanceof Element ? target.closest<SVGElement>("[data-at]") : null;
  if (slice === null || slice.closest("[data-chart]") === null) return;
  const { at = "", text = "" } = slice.dataset;
  write(slice, `${clock.format(Number(at))}: ${text}`);
}

function write(within: Element, text: string): void {
  const place = within.closest(".chart")?.querySelector("[data-read]");
  if (place !== null && place !== undefined) place.textContent = text;
}
