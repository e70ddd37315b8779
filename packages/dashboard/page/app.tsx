/** The frame of every view: where one is, what is selected, whether the data are live, and the switch of colours. */
import type { ComponentChildren, JSX } from 'preact';
import { sharedData } from './api/index.ts';
import { lazy } from './parts/lazy.tsx';
import { formatTime } from './parts/format.ts';
import { ComparisonsPage } from './pages/comparisons.tsx';
import { ComparisonPage } from './pages/comparison.tsx';
import { CurvesPage } from './pages/curves.tsx';
import { DifferencePage } from './pages/difference.tsx';
import { RunPage } from './pages/run.tsx';
import { RunsPage } from './pages/runs/runs.tsx';
import { listOf, link, path } from './state/location.ts';
import { isConnected, meta, problem } from './state/runs.ts';
import { choice, switchTheme } from './state/theme.ts';

const ImagesPage = lazy(async () => (await import('./pages/images.tsx')).ImagesPage);
const EmbeddingsPage = lazy(async () => (await import('./pages/embeddings.tsx')).EmbeddingsPage);
const TryPage = lazy(async () => (await import('./pages/try.tsx')).TryPage);

/** The page. */
export function App(): JSX.Element {
  return (
    <>
      <a class="skip" href="#main" onClick={focusMain}>
        Skip to content
      </a>
      <header class="top">
        <a class="brand" href={link('/')}>
          <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
            <g fill="none" stroke="currentColor" stroke-width="2.4">
              <circle cx="11.5" cy="12" r="7" />
              <circle cx="20.5" cy="12" r="7" />
              <circle cx="16" cy="20" r="7" />
            </g>
          </svg>
          Cohort
        </a>
        <nav aria-label="Views">
          <NavLink to="/" isHere={path.value === '/'}>
            Runs
          </NavLink>
          <NavLink to="/curves" isHere={path.value === '/curves'} keepsRuns>
            Curves
          </NavLink>
          <NavLink to="/comparisons" isHere={path.value.startsWith('/comparison')}>
            Comparisons
          </NavLink>
        </nav>
        <div class="top-end">
          <Connection />
          <button
            type="button"
            class="quiet"
            onClick={switchTheme}
            title="Colours: as the system, light, dark"
            aria-label={`Colours: ${choice.value}. Switch.`}
          >
            {{ system: '◐', light: '○', dark: '●' }[choice.value]} {choice.value}
          </button>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {problem.value !== null && (
          <p class="problem" role="alert">
            {problem.value}
          </p>
        )}
        <View />
      </main>
    </>
  );
}

function View(): JSX.Element {
  const parts = path.value.split('/');
  const [, section = '', id = '', tab = ''] = parts;
  switch (section) {
    case '':
      return <RunsPage />;
    case 'curves':
      return <CurvesPage />;
    case 'difference':
      return <DifferencePage />;
    case 'comparisons':
      return <ComparisonsPage />;
    case 'comparison':
      return <ComparisonPage key={id} id={id} />;
    case 'run':
      if (tab === 'images') return <ImagesPage key={id} id={id} />;
      if (tab === 'embeddings') return <EmbeddingsPage key={id} id={id} />;
      if (tab === 'try') return <TryPage key={id} id={id} />;
      return <RunPage key={id} id={id} tab={tab} />;
    default:
      return (
        <p class="empty">
          There is no such view. <a href={link('/')}>Go to the runs.</a>
        </p>
      );
  }
}

function NavLink(props: {
  readonly to: string;
  readonly isHere: boolean;
  readonly keepsRuns?: true;
  readonly children: ComponentChildren;
}): JSX.Element {
  const runs = props.keepsRuns === true ? listOf('runs').join(',') : '';
  return (
    <a href={link(props.to, { runs })} aria-current={props.isHere ? 'page' : undefined}>
      {props.children}
    </a>
  );
}

function Connection(): JSX.Element {
  if (sharedData !== null) return <span class="hint">written {formatTime(sharedData.writtenAt)}</span>;
  return (
    <span class={`connection ${isConnected.value ? 'is-open' : ''}`} title={meta.value?.root ?? ''}>
      {isConnected.value ? 'live' : 'reconnecting'}
    </span>
  );
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}
