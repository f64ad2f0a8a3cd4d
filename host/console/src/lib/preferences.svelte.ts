// Language and colours, as chosen in this browser.

import { preferredLocale, storeLocale, useLocale, type Locale } from "./texts";

export type Theme = "system" | "light" | "dark";

const THEME = "elias-theme";

function stored(): Theme {
  const value = globalThis.localStorage?.getItem(THEME);
  return value === "light" || value === "dark" ? value : "system";
}

class Preferences {
  theme = $state<Theme>(stored());
  locale = $state<Locale>(preferredLocale());

  /** Before anything is drawn. */
  async begin(): Promise<void> {
    await useLocale(this.locale);
    this.#apply();
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(THEME, theme);
    this.#apply();
  }

  /** The page is drawn anew in place of a reload. */
  async setLocale(locale: Locale): Promise<void> {
    await useLocale(locale);
    storeLocale(locale);
    this.locale = locale;
    this.#apply();
  }

  #apply(): void {
    const root = document.documentElement;
    if (this.theme === "system") delete root.dataset["theme"];
    else root.dataset["theme"] = this.theme;
    root.lang = this.locale;
  }
}

export const preferences = new Preferences();
