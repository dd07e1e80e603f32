/** Owns: the theme: light, dark, or the system's. The choice is a cookie, so that the server already draws the page in it. */

type Theme = "system" | "light" | "dark";

const after: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };
const names: Readonly<Record<Theme, string>> = { system: "as the system has them", light: "light", dark: "dark" };

export function startTheme(): void {
  const button = document.querySelector<HTMLButtonElement>("#theme");
  if (button === null) return;
  name(button);
  button.addEventListener("click", () => {
    apply(after[current()]);
    name(button);
  });
}

function current(): Theme {
  const { theme } = document.documentElement.dataset;
  return theme === "light" || theme === "dark" ? theme : "system";
}

function apply(theme: Theme): void {
  const meta = document.querySelector<HTMLMetaElement>("meta[name=color-scheme]");
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  if (meta !== null) meta.content = theme === "system" ? "light dark" : theme;
  const age = theme === "system" ? 0 : 31_536_000;
  document.cookie = `holdfast_theme=${theme}; path=/; max-age=${age}; samesite=strict`;
}

function name(button: HTMLButtonElement): void {
  const text = `Colours: ${names[current()]}`;
  button.setAttribute("aria-label", text);
  button.title = text;
}
