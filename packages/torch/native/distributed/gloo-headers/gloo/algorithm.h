// Stands in for Gloo's own header where that is not installed: ProcessGroupGloo.hpp includes it and uses nothing of it.
#pragma once
