/** TensorBoard's events: `Event` messages (tensorflow/core/util/event.proto and framework/summary.proto) framed as TFRecords. */
import type { MetricRecord } from '../metrics.ts';
import { maskedCrc32c } from './crc32c.ts';
import { Message } from './protobuf.ts';

/** Field numbers of the messages, as the .proto files give them. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const SUMMARY = { value: 1 } as const;
const VALUE = { tag: 1, simpleValue: 2, tensor: 8, metadata: 9 } as const;
const METADATA = { pluginData: 1, dataClass: 4 } as const;
const PLUGIN_DATA = { pluginName: 1 } as const;
const TENSOR = { dtype: 1, shape: 2, stringValue: 8 } as const;
const SHAPE = { dimension: 2 } as const;
const DIMENSION = { size: 1 } as const;
const SESSION_LOG = { status: 1 } as const;

/** Values of their enumerations. */
const DT_STRING = 7;
const DATA_CLASS_TENSOR = 2;
const SESSION_START = 1;

/** What every event file begins with. @param wallTime seconds since 1970 */
export function fileVersionEvent(wallTime: number): Buffer {
  return framed(new Message().double(EVENT.wallTime, wallTime).text(EVENT.fileVersion, 'brain.Event:2'));
}

/** A process begins to write here: TensorBoard drops later steps of earlier files, which a resumed run has taken back. */
export function sessionStartEvent(wallTime: number, step: number): Buffer {
  const log = new Message().whole(SESSION_LOG.status, SESSION_START);
  return framed(
    new Message().double(EVENT.wallTime, wallTime).whole(EVENT.step, step).message(EVENT.sessionLog, log),
  );
}

/** A text, shown under "Text". @param text Markdown */
export function textEvent(wallTime: number, tag: string, text: string): Buffer {
  const tensor = new Message()
    .whole(TENSOR.dtype, DT_STRING)
    .message(TENSOR.shape, new Message().message(SHAPE.dimension, new Message().whole(DIMENSION.size, 1)))
    .text(TENSOR.stringValue, text);
  const metadata = new Message()
    .message(METADATA.pluginData, new Message().text(PLUGIN_DATA.pluginName, 'text'))
    .whole(METADATA.dataClass, DATA_CLASS_TENSOR);
  const value = new Message()
    .text(VALUE.tag, tag)
    .message(VALUE.tensor, tensor)
    .message(VALUE.metadata, metadata);
  return framed(
    new Message()
      .double(EVENT.wallTime, wallTime)
      .whole(EVENT.step, 0)
      .message(EVENT.summary, new Message().message(SUMMARY.value, value)),
  );
}

/**
 * A record of metrics as scalars. Step and epoch have charts of their own: `step/total`, `epoch/total`; what is grouped
 * already keeps its name: `accuracy/resnet8-1`.
 */
export function scalarsEvent(wallTime: number, record: MetricRecord): Buffer {
  const summary = new Message();
  for (const [name, value] of Object.entries(record.values)) {
    const tag = record.kind === 'epoch' && name.includes('/') ? name : `${record.kind}/${name}`;
    summary.message(SUMMARY.value, new Message().text(VALUE.tag, tag).float(VALUE.simpleValue, value));
  }
  return framed(
    new Message()
      .double(EVENT.wallTime, wallTime)
      .whole(EVENT.step, record.step)
      .message(EVENT.summary, summary),
  );
}

/** TFRecord: length (8 bytes), its checksum, the data, its checksum; numbers in little endian. */
function framed(event: Message): Buffer {
  const data = event.bytes();
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, checksum(length), data, checksum(data)]);
}

function checksum(bytes: Uint8Array): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(maskedCrc32c(bytes));
  return buffer;
}
