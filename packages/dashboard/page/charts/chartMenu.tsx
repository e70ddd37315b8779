/** Buttons that save a chart as a picture or as numbers. */
import type { JSX } from 'preact';
import { chartCsv, chartSvg, download, svgToPng } from './exportChart.ts';

/** The buttons. `picture` describes the chart as it is shown at the time of the click. */
export function ChartMenu({
  title,
  picture,
}: {
  title: string;
  picture: () => Parameters<typeof chartSvg>[0];
}): JSX.Element {
  const name = title.replaceAll(/[^\w.-]+/g, '-');
  return (
    <span class="chart-menu" role="group" aria-label={`Save ${title}`}>
      <button
        type="button"
        class="quiet"
        title="Save as SVG"
        onClick={() => {
          download(`${name}.svg`, new Blob([chartSvg(picture())], { type: 'image/svg+xml' }));
        }}
      >
        SVG
      </button>
      <button
        type="button"
        class="quiet"
        title="Save as PNG"
        onClick={() => {
          void svgToPng(chartSvg(picture())).then((blob) => {
            download(`${name}.png`, blob);
          });
        }}
      >
        PNG
      </button>
      <button
        type="button"
        class="quiet"
        title="Save the points as CSV"
        onClick={() => {
          download(`${name}.csv`, new Blob([chartCsv(picture())], { type: 'text/csv' }));
        }}
      >
        CSV
      </button>
    </span>
  );
}
