/**
 * Owns: dialogs that serve many rows: the nearest `data-fill` around the button says what their fields hold.
 * A field is known by its name; `data-show` shows one as text.
 */

export function startFilling(): void {
  // Before the dialog opens: its own listener is asked later.
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
