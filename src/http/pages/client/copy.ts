/** Owns: buttons that copy: `data-copy` is the text, or `data-copy-from` the id of the element that holds it. */
import { toast } from "./toast.ts";

export function startCopying(): void {
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest<HTMLElement>("[data-copy], [data-copy-from]") : null;
    if (button !== null) void copy(button);
  });
}

async function copy({ dataset }: HTMLElement): Promise<void> {
  const text = dataset["copy"] ?? document.getElementById(dataset["copyFrom"] ?? "")?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser did not allow copying.", "warning");
  }
}
