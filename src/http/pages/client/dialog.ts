/** Owns: opening and closing dialogs. A button whose action is not possible now shows the reason instead. */
import { closeMenus } from "./menu.ts";
import { toast } from "./toast.ts";

export function startDialogs(): void {
  document.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element)) return;
    const opener = target.closest<HTMLElement>("[data-dialog]");
    if (opener !== null) return openBy(opener);
    if (target.closest("[data-close]") !== null) return target.closest("dialog")?.close();
    // A click on the backdrop has the dialog itself as its target.
    if (target instanceof HTMLDialogElement && target.open) target.close();
  });
}

function openBy(opener: HTMLElement): void {
  const { dialog: id = "", refusal } = opener.dataset;
  if (refusal !== undefined) return toast(refusal, "warning");
  closeMenus();
  openDialog(id);
}

export function openDialog(id: string): void {
  const dialog = document.getElementById(id);
  if (!(dialog instanceof HTMLDialogElement) || dialog.open) return;
  dialog.showModal();
  dialog.dispatchEvent(new CustomEvent("opened", { bubbles: true }));
}
