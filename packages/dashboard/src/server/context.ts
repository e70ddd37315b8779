/** What all routes of the server work on. */
import { API_VERSION, type Meta } from '../api/types.ts';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { RunKnowledge } from '../knowledge.ts';

/** What the routes work on. */
export interface AppContext {
  readonly catalogue: Catalogue;
  readonly knowledge: RunKnowledge;
  readonly canEdit: boolean;
  readonly version: string;
  /** Folder of the built page. */
  readonly pageFolder: string;
  /** Folder of the page for files. */
  readonly sharedPageFolder: string;
}

/** Facts about this server. */
export function metaOf({ catalogue, knowledge, canEdit, version }: AppContext): Meta {
  return {
    apiVersion: API_VERSION,
    version,
    root: catalogue.root,
    canEdit,
    hasImages: knowledge.image !== undefined,
    canTry: knowledge.tryPage !== undefined,
    isShared: false,
  };
}
