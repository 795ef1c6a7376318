# `cpack` makes weave-net_VERSION_ARCH.deb: programs, manual, completion, unit, settings (deploy/, cni-conf/, docs/man/).
include(GNUInstallDirs)
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/package")

set(weave_packaged)
foreach(program IN ITEMS weave weaver weave-plugin)
  if(TARGET ${program})
    list(APPEND weave_packaged ${program})
    # The loader resolves everything at start and then makes the tables read-only.
    target_link_options(${program} PRIVATE -Wl,-z,relro,-z,now)
  endif()
endforeach()
if(TARGET weave)
  install(TARGETS weave RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(program IN ITEMS weaver weave-plugin)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
  endif()
endforeach()
if(TARGET weave-plugin)
  # Where Debian's container runtimes look for CNI plugins.
  foreach(name IN ITEMS weave-net weave-ipam)
    file(CREATE_LINK ../../sbin/weave-plugin "${PROJECT_BINARY_DIR}/package/${name}" SYMBOLIC)
    install(FILES "${PROJECT_BINARY_DIR}/package/${name}" DESTINATION lib/cni)
  endforeach()
endif()

# Debian wants manual and changelog compressed, without a date inside.
function(weave_install_compressed source destination)
  cmake_path(GET source FILENAME name)
  set(compressed "${PROJECT_BINARY_DIR}/package/${name}.gz")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/package")
  add_custom_command(
    OUTPUT "${compressed}"
    COMMAND gzip -9nc "${source}" > "${compressed}"
    DEPENDS "${source}"
    COMMENT "Compressing ${name}")
  set_property(GLOBAL APPEND PROPERTY WEAVE_COMPRESSED "${compressed}")
  install(FILES "${compressed}" DESTINATION "${destination}")
endfunction()

weave_install_compressed("${PROJECT_SOURCE_DIR}/docs/man/weave.8" "${CMAKE_INSTALL_MANDIR}/man8")
weave_install_compressed("${PROJECT_SOURCE_DIR}/docs/man/weaver.8" "${CMAKE_INSTALL_MANDIR}/man8")
weave_install_compressed("${PROJECT_SOURCE_DIR}/docs/man/weave-net.8" "${CMAKE_INSTALL_MANDIR}/man8")
weave_install_compressed("${PROJECT_SOURCE_DIR}/docs/man/weave-plugin.8" "${CMAKE_INSTALL_MANDIR}/man8")
weave_install_compressed("${PROJECT_SOURCE_DIR}/deploy/debian/changelog" "${CMAKE_INSTALL_DATADIR}/doc/weave-net")
get_property(weave_compressed GLOBAL PROPERTY WEAVE_COMPRESSED)
add_custom_target(weave_package_files ALL DEPENDS ${weave_compressed})

install(FILES deploy/debian/copyright deploy/debian/README.Debian DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/weave-net)
install(FILES deploy/completion/weave DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES cni-conf/10-weave.conflist DESTINATION ${CMAKE_INSTALL_DATADIR}/weave-net)
install(PROGRAMS deploy/docker-plugin/create deploy/docker-plugin/launch
  DESTINATION ${CMAKE_INSTALL_DATADIR}/weave-net/docker-plugin)
install(FILES deploy/docker-plugin/config.json DESTINATION ${CMAKE_INSTALL_DATADIR}/weave-net/docker-plugin)
install(FILES deploy/systemd/weave.service DESTINATION /lib/systemd/system)
install(FILES deploy/sysconfig/weave DESTINATION /etc/sysconfig)
install(FILES deploy/tmpfiles/weave-net.conf DESTINATION /usr/lib/tmpfiles.d)
install(FILES deploy/logrotate/weave-net DESTINATION /etc/logrotate.d)

file(STRINGS "${PROJECT_SOURCE_DIR}/scripts/packages" weave_run_packages REGEX "^run ")
list(TRANSFORM weave_run_packages REPLACE "^run +" "")
list(JOIN weave_run_packages ", " weave_run_packages)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME weave-net)
set(CPACK_PACKAGE_CONTACT "Weave Net developers <maintainers@weave-net.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "container network for Docker, CNI and Kubernetes hosts")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "Weave Net connects the containers of one or many hosts as if they were
plugged into one switch, without a central store.

This package brings the peer (weaver), the command to run it (weave) and the
 plugins for Docker (weave-plugin) and CNI (weave-net, weave-ipam).")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "${weave_run_packages}")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "docker.io")
foreach(script IN ITEMS postinst prerm postrm conffiles)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${PROJECT_SOURCE_DIR}/deploy/debian/${script}")
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_STRIP_FILES ON)
# /etc and /lib lie outside the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
