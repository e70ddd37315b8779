export function removeStaleObjects(buildFolder: string, sourceFolder: string): string[];
