/** Owns: short messages that disappear by themselves. */

const stayMs = 6000;

export function toast(text: string, look: "done" | "warning" = "done"): void {
  const box = document.querySelector("#toasts");
  const note = document.createElement("p");
  note.className = `toast ${look}`;
  note.textContent = text;
  box?.append(note);
  setTimeout(() => note.remove(), stayMs);
}
