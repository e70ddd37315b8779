/** Light or dark: as the system says, unless the switch says otherwise. */
import { computed, effect, signal } from '@preact/signals';

/** What the switch says. */
export type ThemeChoice = 'system' | 'light' | 'dark';

const KEY = 'cohort-theme';
const system = window.matchMedia('(prefers-color-scheme: dark)');
const isSystemDark = signal(system.matches);

/** The switch. */
export const choice = signal<ThemeChoice>(stored());

/** Whether the page is dark now; charts follow it. */
export const isDark = computed(() =>
  choice.value === 'system' ? isSystemDark.value : choice.value === 'dark',
);

/** Follows system and switch; to be called once. */
export function followTheme(): void {
  system.addEventListener('change', () => {
    isSystemDark.value = system.matches;
  });
  effect(() => {
    document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light';
    try {
      window.localStorage.setItem(KEY, choice.value);
    } catch {
      // A page from the disk may have no storage; the choice then lasts as long as the page.
    }
  });
}

/** The next position of the switch. */
export function switchTheme(): void {
  const order: readonly ThemeChoice[] = ['system', 'light', 'dark'];
  choice.value = order[(order.indexOf(choice.value) + 1) % order.length] ?? 'system';
}

function stored(): ThemeChoice {
  try {
    const text = window.localStorage.getItem(KEY);
    return text === 'light' || text === 'dark' ? text : 'system';
  } catch {
    return 'system';
  }
}
