/**
 * Owns: dialogs that are shared by many rows. They are filled from the JSON in the nearest `data-fill` around the button:
 * fields by their names, `data-show` as text.
 */

export function startFilling(): void {
  // Captured, so that the fields are filled before the dialog's own listener opens it.
  document.addEventListener("click", ({ target }) => fill(target), { capture: true });
}

function fill(target: EventTarget | null): void {
  const opener = target instanceof Element ? target.closest<HTMLElement>("[data-dialog]") : null;
  const text = opener?.closest<HTMLElement>("[data-fill]")?.dataset["fill"];
  const dialog = document.getElementById(opener?.dataset["dialog"] ?? "");
  if (text === undefined || dialog === null) return;
  for (const [name, value] of Object.entries(JSON.parse(text) as Record<string, unknown>)) {
    for (const place of dialog.querySelectorAll(`[data-show="${CSS.escape(name)}"]`)) place.textContent = String(value);
    const field = dialog.querySelector(`[name="${CSS.escape(name)}"]`);
    if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = value === true;
    else if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement)
      field.value = String(value ?? "");
    else if (field instanceof HTMLSelectElement) field.value = String(value);
  }
}
