import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import type { Failure } from './failure.ts';

type Call = Parameters<ServerInterceptor>[1];

/** The streams that are open, so that a server that stops can end them. */
export interface OpenStreams {
  interceptor: ServerInterceptor;
  /** Ends them all; what their handlers still say is not sent. */
  end: (failure: Failure) => void;
}

/** Of all services: health and reflection have some, too. */
export function openStreams(): OpenStreams {
  const open = new Map<Call, { isEnded: boolean }>();
  return {
    interceptor: (definition, call) => {
      if (!definition.responseStream) return new ServerInterceptingCall(call);
      const stream = { isEnded: false };
      open.set(call, stream);
      return new ServerInterceptingCall(call, {
        start: (next) => next({ onCancel: () => void open.delete(call) }),
        sendMessage(message, next) {
          if (!stream.isEnded) next(message);
        },
        sendStatus(answer, next) {
          open.delete(call);
          if (!stream.isEnded) next(answer);
        },
      });
    },
    end(failure) {
      for (const [call, stream] of open) {
        stream.isEnded = true;
        call.sendStatus(failure);
      }
      open.clear();
    },
  };
}
