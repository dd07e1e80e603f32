/** Owns: buttons that copy the text in `data-copy`. */
import { toast } from "./toast.ts";

export function startCopying(): void {
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest<HTMLElement>("[data-copy]") : null;
    if (button !== null) void copy(button);
  });
}

async function copy({ dataset }: HTMLElement): Promise<void> {
  const text = dataset["copy"] ?? "";
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser did not allow copying.", "warning");
  }
}
