/** Owns: the address that the filter form leads to: without empty fields, and with instants in the reader's zone. */

export function startFilters(): void {
  // On a phone the chips are one line that scrolls, so the first chosen one is scrolled into view.
  const chips = document.querySelector(".chips");
  const chosen = chips?.querySelector<HTMLElement>("[aria-current]");
  if (chosen) chips?.scrollTo({ left: chosen.offsetLeft - 40 });
  const form = document.querySelector<HTMLFormElement>("form[data-filters]");
  if (form === null) return;
  for (const field of form.querySelectorAll<HTMLInputElement>("[data-at]"))
    field.value = toLocal(Number(field.dataset["at"]));
  form.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLSelectElement) form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`${location.pathname}${toSearch(form)}`);
  });
}

/** The value of a `datetime-local` field. */
function toLocal(at: number): string {
  const offsetMs = new Date(at).getTimezoneOffset() * 60_000;
  return new Date(at - offsetMs).toISOString().slice(0, 19);
}

function toSearch(form: HTMLFormElement): string {
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll<HTMLInputElement | HTMLSelectElement>("[name]")) {
    const value = field.value.trim();
    if (value === "") continue;
    const at = value.indexOf("=");
    if (field.type === "datetime-local") query.set(field.name, new Date(value).toISOString());
    else if (field.name === "label") query.set(`label.${value.slice(0, at).trim()}`, value.slice(at + 1).trim());
    else query.set(field.name, value);
  }
  return query.size === 0 ? "" : `?${query.toString()}`;
}
