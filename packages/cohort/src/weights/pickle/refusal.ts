/** What to do about a pickle that names a class or function beyond plain data, by the package that it comes from. */

const saveStateDict =
  'In Python, load it where you trust it and save the weights alone: torch.save(model.state_dict(), path).';

/** Packages whose functions have no place in a file of data. */
const dangerous = new Set([
  ...['os', 'posix', 'nt', 'sys', 'subprocess', 'builtins', '__builtin__', 'runpy', 'importlib', 'shutil'],
  ...['socket', 'commands', 'ctypes', 'code', 'pty', 'webbrowser', 'operator', 'functools', 'types'],
]);

/** The advice for a refused global, `module.name`. */
export function remedyForGlobal(global: string): string {
  const root = global.split('.')[0] ?? global;
  if (dangerous.has(root)) {
    return `The file wants to run code; if that surprises you, delete it and get it from a source that you trust. ${saveStateDict}`;
  }
  return `It holds an object of a class of its own (a whole model, a configuration), not only data. ${saveStateDict}`;
}
