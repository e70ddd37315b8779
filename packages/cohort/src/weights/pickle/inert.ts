/**
 * Which Python objects beyond plain data may lie in a file without it being refused: schedulers, configurations, enumerations,
 * whole modules. They are kept as inert stand-ins. Nothing is ever run, so this decides only what is called suspicious.
 */

/** Wherever one of these stands in a name, running code is the point of it: `os.system`, `numpy.os.system`. */
const suspiciousParts = new Set([
  ...['os', 'posix', 'nt', 'sys', 'subprocess', 'builtins', '__builtin__', '__builtins__', 'importlib'],
  ...['runpy', 'shutil', 'socket', 'ctypes', 'pty', 'webbrowser', '__import__', '__globals__', '__code__'],
  ...[
    '__subclasses__',
    '__mro__',
    '__bases__',
    '__base__',
    '__loader__',
    '__getattribute__',
    '__reduce_ex__',
  ],
]);

/** Packages that make functions from code, load other pickles, fetch or install. */
const suspiciousPackages = [
  ...['dill', 'cloudpickle', 'pickle', '_pickle', 'cPickle', 'marshal', 'joblib', 'pip', 'setuptools'],
  ...['torch.hub', 'torch.package', 'torch.utils.cpp_extension', 'torch.utils.model_zoo', 'torch.jit'],
  ...['numpy.testing', 'numpy.f2py', 'numpy.distutils', 'IPython', 'requests', 'urllib3', 'aiohttp', 'httpx'],
];

/** The standard library, of which only data is harmless (see `harmlessStandard`). */
const standardModules = new Set([
  ...[
    '_io',
    '_thread',
    'antigravity',
    'ast',
    'asyncio',
    'asyncore',
    'atexit',
    'bdb',
    'cProfile',
    'cgi',
    'cmd',
  ],
  ...[
    'code',
    'codecs',
    'codeop',
    'commands',
    'compileall',
    'concurrent',
    'configparser',
    'contextlib',
    'copyreg',
  ],
  ...['copy_reg', 'dbm', 'distutils', 'doctest', 'email', 'ensurepip', 'faulthandler', 'fileinput', 'ftplib'],
  ...['functools', 'gc', 'getpass', 'glob', 'gzip', 'http', 'idlelib', 'imaplib', 'imp', 'inspect', 'io'],
  ...[
    'itertools',
    'lib2to3',
    'linecache',
    'logging',
    'mailcap',
    'mmap',
    'multiprocessing',
    'nntplib',
    'ntpath',
  ],
  ...['operator', '_operator', 'optparse', 'pdb', 'pkgutil', 'platform', 'poplib', 'posixpath', 'profile'],
  ...[
    'pstats',
    'pyclbr',
    'pydoc',
    'queue',
    'resource',
    'rlcompleter',
    'sched',
    'select',
    'selectors',
    'shelve',
  ],
  ...['signal', 'site', 'smtplib', 'socketserver', 'sqlite3', 'ssl', 'sysconfig', 'tarfile', 'telnetlib'],
  ...[
    'tempfile',
    'test',
    'threading',
    'timeit',
    'tkinter',
    'trace',
    'traceback',
    'turtle',
    'types',
    'unittest',
  ],
  ...['urllib', 'urllib2', 'venv', 'warnings', 'weakref', 'wsgiref', 'xml', 'xmlrpc', 'zipapp', 'zipfile'],
  ...['zipimport', 'zlib'],
]);

/** What of the standard library is data, or wraps what is judged by its own name. */
const harmlessStandard = new Set([
  ...[
    'functools.partial',
    'types.MappingProxyType',
    'types.SimpleNamespace',
    'logging.Logger',
    'logging.getLogger',
  ],
  ...['operator.itemgetter', 'operator.attrgetter', 'weakref.ref', 'copyreg.__newobj__', 'optparse.Values'],
  ...['configparser.ConfigParser', 'inspect.Parameter', 'inspect.Signature', 'threading.Lock', 'queue.Queue'],
]);

/** Functions that only say how an object is put together again. */
const rebuilders = new Set([
  'copyreg.__newobj__',
  'logging.getLogger',
  'builtins.getattr',
  '__builtin__.getattr',
]);

/** Whether an object of this name, `module.name`, may be passed over; else the file is refused. */
export function isInertName(global: string): boolean {
  if (rebuilders.has(global) || harmlessStandard.has(global)) return true;
  const parts = global.split('.');
  if (parts.some((part) => suspiciousParts.has(part))) return false;
  if (standardModules.has(parts[0] ?? '')) return false;
  return !suspiciousPackages.some((name) => global === name || global.startsWith(`${name}.`));
}

/**
 * Whether a call of it only makes an object: of a class, whose name begins with a capital as a rule, or by a function that
 * its package uses to put objects together again, whose name begins with an underscore.
 */
export function onlyMakesObjects(global: string): boolean {
  if (rebuilders.has(global) || harmlessStandard.has(global)) return true;
  const name = global.slice(global.lastIndexOf('.') + 1);
  return /^_*[A-Z]/.test(name) || /^_[a-z_]/.test(name);
}
