/** Event files are read back by decoders that are not ours: protobufjs with TensorFlow's field numbers, and another package's CRC-32C. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Crc32c } from '@aws-crypto/crc32c';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { openRun } from '../reader.ts';
import { START, stepRecord, temporaryFolder, testRun } from '../testing.ts';
import { crc32c } from './crc32c.ts';
import { EventFileObserver, exportEventFile } from './eventFile.ts';

/** The messages as TensorBoard reads them, with TensorFlow's names and numbers. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message SessionLog { enum SessionStatus { UNSPECIFIED = 0; START = 1; STOP = 2; CHECKPOINT = 3; } SessionStatus status = 1; }
  message Dim { int64 size = 1; string name = 2; }
  message TensorShapeProto { repeated Dim dim = 2; bool unknown_rank = 3; }
  enum DataType { DT_INVALID = 0; DT_FLOAT = 1; DT_DOUBLE = 2; DT_STRING = 7; }
  message TensorProto { DataType dtype = 1; TensorShapeProto tensor_shape = 2; repeated float float_val = 5; repeated bytes string_val = 8; }
  enum DataClass { DATA_CLASS_UNKNOWN = 0; DATA_CLASS_SCALAR = 1; DATA_CLASS_TENSOR = 2; DATA_CLASS_BLOB_SEQUENCE = 3; }
  message PluginData { string plugin_name = 1; bytes content = 2; }
  message SummaryMetadata { PluginData plugin_data = 1; string display_name = 2; string summary_description = 3; DataClass data_class = 4; }
  message Value { string node_name = 7; string tag = 1; SummaryMetadata metadata = 9; oneof value { float simple_value = 2; TensorProto tensor = 8; } }
  message Summary { repeated Value value = 1; }
  message Event {
    double wall_time = 1; int64 step = 2;
    oneof what { string file_version = 3; bytes graph_def = 4; Summary summary = 5; SessionLog session_log = 7; }
  }`);
const Event = root.lookupType('Event');

/** The events of a file, every length and checksum checked. */
function eventsIn(path: string): Record<string, unknown>[] {
  const bytes = readFileSync(path);
  const events: Record<string, unknown>[] = [];
  const masked = (part: Uint8Array): number => {
    const checksum = BigInt(new Crc32c().update(part).digest());
    return Number((((checksum >> 15n) | (checksum << 17n)) + 0xa282ead8n) & 0xffffffffn);
  };
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(bytes.readUInt32LE(at + 8)).toBe(masked(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(masked(data));
    events.push(Event.toObject(Event.decode(data), { longs: Number, enums: String, bytes: String }));
    at += 16 + length;
  }
  return events;
}

/** [step, tag, value] of every scalar. */
function scalarsOf(events: readonly Record<string, unknown>[]): unknown[] {
  return events.flatMap((event) => {
    const { summary } = event as { summary?: { value: { tag: string; simpleValue?: number }[] } };
    return (summary?.value ?? [])
      .filter(({ simpleValue }) => simpleValue !== undefined)
      .map(({ tag, simpleValue }) => [event.step, tag, simpleValue]);
  });
}

const epoch = {
  kind: 'epoch',
  step: 300,
  epoch: 1,
  timeMs: 1500,
  values: { total: 0.5, 'accuracy/é': 0.25 },
} as const;

describe('an event file', () => {
  test('of a run has its recipe and every metric', () => {
    const writer = testRun(temporaryFolder(), { recipe: 'name: démo\n' });
    writer.metrics({
      ...stepRecord(2 ** 40),
      values: { up: Infinity, down: -Infinity, nan: NaN, loss: 1.5 },
    });
    writer.metrics(epoch);
    writer.finish({});
    const folder = join(temporaryFolder(), 'new', 'folder');
    const path = exportEventFile(openRun(writer.path), folder);
    const events = eventsIn(path);
    const startedAt = START.getTime() / 1000;
    expect(events[0]).toEqual({ wallTime: startedAt, fileVersion: 'brain.Event:2' });
    expect(events[1]).toEqual({ wallTime: startedAt, sessionLog: { status: 'START' } });
    expect(events[2]).toMatchObject({
      summary: {
        value: [
          {
            tag: 'recipe',
            metadata: { pluginData: { pluginName: 'text' }, dataClass: 'DATA_CLASS_TENSOR' },
            tensor: { dtype: 'DT_STRING', tensorShape: { dim: [{ size: 1 }] } },
          },
        ],
      },
    });
    expect(JSON.stringify(events[2])).toContain(Buffer.from('```yaml\nname: démo\n```').toString('base64'));
    expect(scalarsOf(events)).toEqual([
      [2 ** 40, 'step/up', Infinity],
      [2 ** 40, 'step/down', -Infinity],
      [2 ** 40, 'step/nan', NaN],
      [2 ** 40, 'step/loss', 1.5],
      [300, 'epoch/total', 0.5],
      [300, 'accuracy/é', 0.25],
    ]);
    expect(events.at(-1)?.wallTime).toBe(startedAt + 1.5);
    // Again: in place of the first, or TensorBoard would show every point twice.
    expect(exportEventFile(openRun(writer.path), folder)).toBe(path);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  test('is written live, whole records at each flush, and begins at the step where a process began', () => {
    const folder = join(temporaryFolder(), 'events');
    const writer = testRun(temporaryFolder());
    const told: string[] = [];
    const now = (): Date => START;
    writer.observe(
      new EventFileObserver({ folder, recipe: 'a: 1', onProblem: (text) => told.push(text), now }),
    );
    writer.metrics(stepRecord(120));
    writer.flush();
    const [name = ''] = readdirSync(folder);
    expect(name).toMatch(/^events\.out\.tfevents\.1772600767\.[\w.-]+\.\d+$/);
    expect(eventsIn(join(folder, name))[1]).toMatchObject({ step: 120, sessionLog: { status: 'START' } });
    writer.metrics(stepRecord(121));
    writer.finish({});
    expect(scalarsOf(eventsIn(join(folder, name)))).toEqual([
      [120, 'step/loss', 12],
      [121, 'step/loss', expect.closeTo(12.1, 5)],
    ]);
    expect(told).toEqual([]);
  });

  test('that cannot be written costs the run nothing but a word', () => {
    const parent = temporaryFolder();
    writeFileSync(join(parent, 'file'), '');
    const writer = testRun(temporaryFolder());
    const told: string[] = [];
    const folder = join(parent, 'file', 'events');
    writer.observe(new EventFileObserver({ folder, recipe: '', onProblem: (text) => told.push(text) }));
    for (const step of [1, 2]) {
      writer.metrics(stepRecord(step));
      writer.flush();
    }
    expect(told).toEqual([
      expect.stringMatching(/^no more is written for TensorBoard: ENOTDIR.* cohort runs export/),
    ]);
    expect([...openRun(writer.path).metrics()]).toHaveLength(2);
  });
});

test('CRC-32C has the values of RFC 3720', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3_06_92_83);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a_91_36_aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62_a8_ab_43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46_dd_79_4e);
});
