/** Owns: closing menus: by Escape, by a click beside them, and before a dialog opens. */

export function startMenus(): void {
  document.addEventListener("click", ({ target }) => closeMenus(target instanceof Node ? target : null));
}

/**
 * The focus moves from within a menu to its button, where a dialog that opens next gives it back.
 * @param within the menu around it stays open
 * @returns whether one was closed
 */
export function closeMenus(within: Node | null = null): boolean {
  const menus = [...document.querySelectorAll<HTMLDetailsElement>("details[data-menu][open]")];
  const others = menus.filter((menu) => !menu.contains(within));
  for (const menu of others) {
    if (menu.contains(document.activeElement)) menu.querySelector("summary")?.focus();
    menu.open = false;
  }
  return others.length > 0;
}
