# Compiler, linker and warnings for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Ccache wants to see through precompiled headers; see "Precompiled headers" in its manual.
find_program(WEAVE_CCACHE ccache)
if(WEAVE_CCACHE)
  set(weave_launcher "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    "${WEAVE_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER ${weave_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${weave_launcher})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()

find_program(WEAVE_MOLD mold)
if(WEAVE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(WEAVE_WARNINGS -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual -Wformat=2
  -Wimplicit-fallthrough -Wunused)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  list(APPEND WEAVE_WARNINGS -Wthread-safety)
endif()
# Several sources in one go (CMAKE_UNITY_BUILD), as continuous integration compiles: half the time. To GCC all but the
# first line of each are a header then, in which an unnamed namespace looks wrong.
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND WEAVE_WARNINGS -Wno-subobject-linkage)
endif()
add_compile_options(-fno-omit-frame-pointer -ffunction-sections -fdata-sections)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(_FORTIFY_SOURCE=2)
  add_compile_options(-fstack-protector-strong)
  add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)  # nothing of the building machine in what is shipped
  if(NOT WEAVE_DEBUG_SYMBOLS)
    add_compile_options(-g0)
  endif()
endif()
add_link_options(-Wl,--gc-sections)

if(WEAVE_SANITIZE)
  add_compile_options(-fsanitize=${WEAVE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WEAVE_SANITIZE})
endif()
if(WEAVE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "WEAVE_FUZZ needs Clang: use the preset \"fuzz\"")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
