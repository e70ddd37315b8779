/** Puts the page up. */
import { render } from 'preact';
import { App } from './app.tsx';
import { followLocation } from './state/location.ts';
import { followRuns } from './state/runs.ts';
import { followTheme } from './state/theme.ts';
import './style/base.css';
import './style/table.css';
import './style/charts.css';
import './style/pages.css';

followTheme();
followLocation();
void followRuns();
const root = document.getElementById('page');
if (root !== null) render(<App />, root);
