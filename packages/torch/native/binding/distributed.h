// Process groups of torch.distributed for JavaScript; in a header of its own, since few files need it.
#pragma once

#include <node_api.h>

namespace cohort {

void registerDistributed(napi_env env, napi_value exports);

}  // namespace cohort
